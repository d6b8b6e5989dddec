"""The verdict on a line of multipliers, and the pair of runs that narrows it most for its cost."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scalinglab.analysis.transfer.multiplier_line import Interval, MultiplierLine

Array = np.ndarray


class Verdict(StrEnum):
    """The effect of a candidate at the target."""

    TRANSFERS = "transfers"
    FADES = "fades"
    REVERSES = "reverses"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Decision:
    """A verdict with the numbers that it rests on; all are of log multipliers.

    Attributes
    ----------
    verdict : Verdict
    target, smallest : Interval
        At the target and at the smallest measured size.
    slope : Interval
        Change with log C.
    """

    verdict: Verdict
    target: Interval
    smallest: Interval
    slope: Interval


def decide(line: MultiplierLine, margin: float) -> Decision:
    """The verdict for a margin of log m.

    "Transfers" and "reverses" are beyond the margin with the whole interval. "Fades" takes an
    advantage that is real at the smallest size and falls with scale, both with their whole
    intervals, an estimate at the target within the margin, and an interval there that excludes both
    the whole advantage of the smallest size and its opposite.
    """
    target, slope = line.at(1.0), line.slope
    smallest = line.at(float(np.exp(line.x.min())))
    verdict = Verdict.CANNOT_TELL
    if target.lower > margin:
        verdict = Verdict.TRANSFERS
    elif target.upper < -margin:
        verdict = Verdict.REVERSES
    elif (
        slope.upper < 0
        and smallest.lower > margin
        and abs(target.value) <= margin
        and -smallest.value < target.lower
        and target.upper < smallest.value
    ):
        verdict = Verdict.FADES
    return Decision(verdict, target, smallest, slope)


def narrowing(line: MultiplierLine, now: Interval) -> Array:
    """How much one more pair at each size narrows the interval `now` at the target, per FLOP.

    Without an interval, the sizes with the fewest pairs come first.
    """
    sizes = line.sizes
    if not np.isfinite(now.half_width):
        return np.where(sizes.counts == sizes.counts.min(), 1 / sizes.C, 0.0)
    weights = line.weights(0.0)
    share = (weights * line.exchange) ** 2 / sizes.counts
    # The seeds' part of the variance falls by this share with another pair at a size.
    less = share / share.sum() / (sizes.counts + 1)
    half = now.half_width
    return (half - np.sqrt(half**2 - now.parts["seeds"] ** 2 * less)) / sizes.C
