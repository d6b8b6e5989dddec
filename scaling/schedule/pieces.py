"""The learning rate as a pure function of the step, built from data.

A schedule is a list of pieces, evaluated to an array before the run. There is no scheduler state
anywhere: a branch that starts from a trunk's checkpoint cannot inherit a wrong one.

Convention: ``lr[i]`` is the rate of update i (from 0). A piece of n steps from a to b is sampled
at the middles of its steps, so no step is wasted at rate zero and the area of a piece that is
symmetric about its middle is the exact integral.

>>> lr_array([Piece("linear", 2, 0.0, 1.0), Piece("constant", 2, 1.0, 1.0)]).tolist()
[0.25, 0.75, 1.0, 1.0]
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_STEEPNESS = 10.0  # alpha of the inverse square root below

# Fraction of the way from `start` to `end`, against the fraction x of the piece that has passed.
SHAPES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "constant": np.zeros_like,
    "linear": lambda x: x,
    "cosine": lambda x: (1 - np.cos(np.pi * x)) / 2,
    "sqrt": np.sqrt,  # the 1-sqrt cooldown of Haegele et al., arXiv 2405.18392
    "square": lambda x: x**2,  # these two too
    "mirror_cosine": lambda x: 2 * x - (1 - np.cos(np.pi * x)) / 2,
    # h(x) / h(1) with h(x) = 1 / sqrt(1 + alpha x) - 1: Ibrahim et al., arXiv 2403.08763
    "inverse_sqrt": lambda x: (1 - (1 + _STEEPNESS * x) ** -0.5) / (1 - (1 + _STEEPNESS) ** -0.5),
}


@dataclass(frozen=True)
class Piece:
    """`steps` updates whose rate goes from `start` to `end` along `shape`.

    Attributes
    ----------
    shape : str
        One of ``SHAPES`` or ``CURVES``.
    exponent, since : float
        Of a "power" only: start * ((since + t) / since) ** -exponent after t steps.
    rates : sequence of float
        Of a "given" piece only: the rate of each of its steps.
    """

    shape: str
    steps: int
    start: float
    end: float
    exponent: float = 0.0
    since: float = 0.0
    rates: Sequence[float] = ()


# Rates at the middles of the steps, t = 0.5, 1.5, ..., where they are no fraction of the way.
CURVES: Mapping[str, Callable[[Piece, np.ndarray], np.ndarray]] = {
    "exponential": lambda p, t: p.start * (p.end / p.start) ** (t / max(p.steps, 1)),
    "power": lambda p, t: p.start * (1 + t / p.since) ** -p.exponent,
    "given": lambda p, t: np.asarray(p.rates, dtype=float),
}


def lr_array(pieces: Sequence[Piece]) -> np.ndarray:
    """Rates of all updates, float64 of shape (steps,)."""
    return np.concatenate([_sample(piece) for piece in pieces])


def _sample(piece: Piece) -> np.ndarray:
    middle = np.arange(piece.steps) + 0.5
    if piece.shape in CURVES:
        return CURVES[piece.shape](piece, middle)
    x = middle / max(piece.steps, 1)
    return piece.start + (piece.end - piece.start) * SHAPES[piece.shape](x)


def top_rate(pieces: Sequence[Piece]) -> float:
    """The highest rate that a schedule reaches: its peak LR."""
    return max(max(p.start, p.end, *p.rates) for p in pieces)


def settled(rate: float) -> float:
    """Ten digits of a rate: powers differ in their last bits between machines, ids must not."""
    return float(f"{rate:.10g}")


def plain(piece: Piece) -> dict[str, Any]:
    """A piece as plain values; what only other shapes have is left out."""
    values = vars(piece) | {"rates": list(piece.rates)}
    return {k: v for k, v in values.items() if v or k in ("shape", "steps", "start", "end")}


def is_flat(piece: Piece) -> bool:
    """Whether a piece never moves."""
    return piece.shape == "constant" or (piece.start == piece.end and piece.shape != "given")


def prefix(pieces: Sequence[Piece], step: int) -> list[dict[str, Any]]:
    """Canonical description of the first `step` updates, the same for every run that shares them.

    A constant stretch and a power law are described by the updates in them so far, not by their
    length; any other piece by its whole form and the updates in it so far.
    """
    described: list[dict[str, Any]] = []
    remaining = step
    for piece in pieces:
        updates = min(remaining, piece.steps)
        if updates == 0:
            continue
        remaining -= updates
        last = described[-1] if described else {}
        if is_flat(piece) and last.get("shape") == "constant" and last["start"] == piece.start:
            last["steps"] += updates
        else:
            described.append(_described(piece, updates))
    if remaining:
        raise ValueError(f"step {step} lies beyond the schedule's {step - remaining} steps")
    return described


def _described(piece: Piece, updates: int) -> dict[str, Any]:
    if is_flat(piece):
        return {"shape": "constant", "steps": updates, "start": piece.start}
    if piece.shape == "power":
        return {k: v for k, v in plain(piece).items() if k != "end"} | {"steps": updates}
    if piece.shape == "given":
        content = np.asarray(piece.rates, dtype="<f8").tobytes()
        return {"shape": "given", "rates": hashlib.sha256(content).hexdigest(), "taken": updates}
    return plain(piece) | {"taken": updates}


def shared_steps(pieces_a: Sequence[Piece], pieces_b: Sequence[Piece]) -> int:
    """The number of first updates that two schedules have in common."""
    shared = 0
    descriptions = (prefix(pieces, sum(p.steps for p in pieces)) for pieces in (pieces_a, pieces_b))
    for a, b in zip(*descriptions, strict=False):
        # Stretches without a fixed length may differ in their steps alone.
        if a | {"steps": 0} == b | {"steps": 0}:
            shared += min(piece.get("taken") or piece["steps"] for piece in (a, b))
        if a != b:
            break
    return shared


def shared_by_all(pieces_a: Sequence[Sequence[Piece]], pieces_b: Sequence[Sequence[Piece]]) -> int:
    """The number of first updates that two runs have in common, by all functions of the step."""
    return min(shared_steps(a, b) for a, b in zip(pieces_a, pieces_b, strict=True))


def branch_points(pieces: Sequence[Piece]) -> list[int]:
    """Steps at which a stretch of no fixed length ends: where other runs may branch off."""
    points, step = [], 0
    for piece in pieces:
        step += piece.steps
        if piece.shape in ("constant", "power"):
            points.append(step)
    return points
