"""How far a law of curves may be off a schedule that it was not fitted to.

A fit's resamples carry the doubt about its parameters; that the law is wrong about other schedules
they cannot know. Refits without one curve each can: what each misses of the last loss of its curve
is a miss on a schedule not seen. One rule makes intervals of that, for predictions, forecasts and
chosen schedules alike: Student's t of the mean square of those misses and of `USUAL_MISS`, which
counts as that of `AS_MANY`; never narrower than the law's own interval.

Two curves leave nothing out, three leave refits of two: then the interval rests on what such laws
usually miss. The constants were chosen on the development sets of benchmarks/held_out_curves.py.

A law misses a schedule for two reasons: it is wrong about that schedule, and its parameters are off
since it is wrong about the fitted ones. The second is larger the fewer curves are fitted and the
more the schedule differs from them: its *leverage* is the variance of a prediction in units of that
of a curve's own miss. It is known beforehand (`scalinglab.analysis.fitting.left_out`), so each miss
is divided by the root of one plus its leverage, as residuals of a regression are, and an interval
is as much wider as its own schedule says. Without it, a refit of two curves that was 2 % off a
third, 190 times as uncertain there as about its own, made intervals of 2.4 % where .2 % was missed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray

USUAL_MISS = 0.004  # of a loss: standard deviation
OWN_MISS = 0.003  # the same without what comes from the fitted curves
AS_MANY = 2
MOST = 12  # curves left out: each is a refit
_FEW = 3


@dataclass(frozen=True)
class LeftOutRuns:
    """Refits of a law of curves without one curve each.

    Attributes
    ----------
    runs : tuple of str
        The curve that each refit did not see.
    missed : array, shape (refits,)
        By how much it was too high at that curve's last loss, in logarithms; NaN where it predicts
        no possible loss there.
    params : array, shape (refits, parameters)
    leverage : array, shape (refits,), optional
        That of the curve's last loss in the refit. None of fits that were stored before, of
        mixtures of laws and where it cannot be known: misses count as they are.
    moved : array, shape (parameters, parameters), optional
        Covariance of the parameters of the whole fit if each curve's losses were off by a
        standard deviation of 1, all losses of a curve alike, on the scale of the objective.
    """

    runs: tuple[str, ...]
    missed: Array
    params: Array
    leverage: Array | None = None
    moved: Array | None = None

    def __len__(self) -> int:
        return len(self.runs)

    def half_width(self, level: float, slopes: Callable[[], Array]) -> Array | float:
        """Half-widths of intervals on unseen schedules, in logarithms.

        Parameters
        ----------
        level : float
        slopes : callable
            Gives derivatives of the predictions on the scale of the objective, (parameters, n);
            asked where they are needed.
        """
        if self.leverage is None or self.moved is None:
            return unseen_half_width(0.0, self.missed, level)
        slope = slopes()
        leverage = np.einsum("pn,pn->n", slope, self.moved @ slope)
        own = self.missed / np.sqrt(1 + self.leverage)
        return np.sqrt(1 + leverage) * unseen_half_width(0.0, own, level, OWN_MISS)


NONE_LEFT_OUT = LeftOutRuns((), np.empty(0), np.empty((0, 0)))


def unseen_half_width(
    of_law: Array | float, missed: Array, level: float, usual: float = USUAL_MISS
) -> Array:
    """Half-width of the interval on an unseen schedule, in logarithms.

    Parameters
    ----------
    of_law : float or array
        Half-width by the law's own interval.
    missed : array
        Misses on curves that refits, or forecasts, did not see. NaN makes the half-width NaN.
    level : float
    usual : float
        What such a miss is expected to be.
    """
    from scipy.special import stdtrit  # takes .2 s to load

    degrees = AS_MANY + len(missed)
    size = np.sqrt((AS_MANY * usual**2 + np.sum(np.square(missed))) / degrees)
    return np.maximum(of_law, stdtrit(degrees, (1 + level) / 2) * size)


def doubt_in_words(left_out: LeftOutRuns) -> str:
    """That refits have no possible loss, so that there are no intervals; empty if all have."""
    failed = [run for run, miss in zip(left_out.runs, left_out.missed, strict=True) if miss != miss]
    if not failed:
        return ""
    return (
        f"the fit without run {', '.join(failed)} has no possible loss at its end: there are no"
        " intervals for other schedules"
    )


def few_curves_in_words(curves: int) -> str:
    """What an interval that rests on so few curves cannot know; nothing where there are more."""
    if curves > _FEW:
        return ""
    usual = f"{USUAL_MISS:.1%} of the loss"
    if curves < _FEW:
        return (
            f"{curves} curve{'s' * (curves > 1)}, and no refit without one: intervals for other"
            f" schedules rest on what laws of curves usually miss ({usual}), not on these curves;"
            " fit at least four"
        )
    return (
        f"only {curves} curves: refits without one rest on two, so intervals for schedules unlike"
        " these lean on what laws of curves usually miss; fit at least four"
    )
