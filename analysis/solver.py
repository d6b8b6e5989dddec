"""Levenberg-Marquardt for a whole batch of problems at once.

Each row of the batch is its own problem (a start, a resample, a point of a profile) with its own
damping. Problems that are done leave the batch, so the cost is that of the work left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

Array = np.ndarray

# assess(coordinates (b, f), problem (b,), caution (b,)) -> value (b,), gradient (b, f), curvature
# (b, f, f); `problem` says which of the batch each row is.
Assess = Callable[[Array, Array, Array], tuple[Array, Array, Array]]

_TINY = 1e-200
_LEAST_DAMPING, _MOST_DAMPING = 1e-9, 1e11
_LEAST_CAUTION = 0.01


@dataclass
class Solution:
    """Where each problem of a batch ended.

    Attributes
    ----------
    coordinates : array, shape (batch, free)
    value : array, shape (batch,)
    gradient : array, shape (batch, free)
        In units of the value for a change of one natural scale (1/sqrt of the curvature).
    curvature : array, shape (batch, free, free)
    steps : array of int, shape (batch,)
    """

    coordinates: Array
    value: Array
    gradient: Array
    curvature: Array
    steps: Array

    def __getitem__(self, rows: slice) -> Solution:
        """The same of some of the problems."""
        return Solution(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def minimise(
    assess: Assess,
    start: Array,
    low: Array,
    high: Array,
    *,
    stride: Array | None = None,
    frozen: Array | None = None,
    damping: float = 1e-2,
    tolerance: float = 1e-9,
    patience: int = 2,
    floor: float = 1e-12,
    steps: int = 300,
) -> Solution:
    """Minimise each problem of a batch within bounds.

    Parameters
    ----------
    assess : callable
        See `Assess`.
    start : array, shape (batch, free)
    low, high : array, shape (free,)
    stride : array, shape (free,), optional
        Longest step of each coordinate. A term that has faded out has a vanishing gradient and a
        Newton step without limit, which throws its exponent to a bound for good; a limit on the
        step lets it come back.
    frozen : array of bool, shape (batch, free), optional
        Coordinates that stay where they start.
    damping : float
        At the start, relative to the curvature; large is cautious.
    tolerance : float
        A problem is done when `patience` steps in a row promise, and bring, a smaller relative
        decrease than this.
    floor : float
        Values below this count as zero.
    steps : int
        Most steps to take.
    """
    start = np.clip(np.asarray(start, float), low, high)
    stride = np.full(len(low), np.inf) if stride is None else stride
    frozen = np.zeros(start.shape, bool) if frozen is None else frozen
    state = _State(assess, start, (low, high), stride, frozen, damping)
    active, idle = np.arange(len(start)), np.zeros(len(start), int)
    for _ in range(steps):
        promised, brought = state.step(active)
        worth = tolerance * (np.abs(state.value[active]) + floor)
        still = (promised >= 0) & (promised < worth) & (brought < worth)
        idle[active] = np.where(still, idle[active] + 1, 0)
        active = active[(idle[active] < patience) & (state.damping[active] < _MOST_DAMPING)]
        if not len(active):
            break
    return state.solution()


class _State:
    """The batch as it stands, one row a problem."""

    def __init__(
        self,
        assess: Assess,
        start: Array,
        limits: tuple[Array, Array],
        stride: Array,
        frozen: Array,
        damping: float,
    ) -> None:
        u = start.copy()
        self.assess, self.u, self.stride, self.frozen = assess, u, stride, frozen
        self.low, self.high = limits
        self.damping = np.full(len(u), float(damping))
        self.caution = np.ones(len(u))
        self.steps, self.refused = np.zeros(len(u), int), np.zeros(len(u), int)
        everything = np.arange(len(u))
        self.value, self.gradient, self.curvature = assess(u, everything, self.caution)
        self.value = np.where(np.isfinite(self.value), self.value, np.inf)
        self.steepest = np.zeros(u.shape)  # largest curvature met: MINPACK's scaling

    def scale(self, rows: Array) -> Array:
        """Natural length of each coordinate; 0 if it is held, at a bound, or of no effect."""
        u, gradient = self.u[rows], self.gradient[rows]
        held = self.frozen[rows] | ((u <= self.low) & (gradient > 0))
        held |= (u >= self.high) & (gradient < 0)
        diagonal = np.einsum("bii->bi", self.curvature[rows])
        self.steepest[rows] = np.fmax(self.steepest[rows], diagonal)
        held |= ~(self.steepest[rows] > _TINY)
        return np.where(held, 0, 1 / np.sqrt(np.maximum(self.steepest[rows], _TINY)))

    def step(self, rows: Array) -> tuple[Array, Array]:
        """Try one step for some problems; the decrease promised by the model, and that brought.

        A step that was cut short promises nothing definite: inf.
        """
        scale = self.scale(rows)
        system = self.curvature[rows] * scale[:, :, None] * scale[:, None, :]
        diagonal = np.einsum("bii->bi", system)
        diagonal += np.where(scale > 0, self.damping[rows, None], 1)
        move = scale * _solve(system, -self.gradient[rows] * scale)
        cut = (np.abs(move) > self.stride).any(-1)
        move = np.clip(move, -self.stride, self.stride)
        trial = np.clip(self.u[rows] + move, self.low, self.high)
        move = trial - self.u[rows]
        bend = np.einsum("bi,bij,bj->b", move, self.curvature[rows], move)
        promised = -(self.gradient[rows] * move).sum(-1) - 0.5 * bend
        value, gradient, curvature = self.assess(trial, rows, self.caution[rows])
        with np.errstate(invalid="ignore"):
            sound = np.isfinite(value + curvature.sum(axis=(1, 2)))
            brought = np.where(sound, self.value[rows] - value, -np.inf)
        better = brought > 0
        kept = rows[better]
        self.u[kept], self.value[kept] = trial[better], value[better]
        self.gradient[kept], self.curvature[kept] = gradient[better], curvature[better]
        self._trust(rows, brought, promised)
        return np.where(cut, np.inf, promised), np.maximum(brought, 0)

    def _trust(self, rows: Array, brought: Array, promised: Array) -> None:
        """Damp less after a step that kept its promise, more after one that did not, and more and
        more while steps are refused (Nielsen 1999)."""
        kept = np.where(promised > 0, brought / np.maximum(promised, _TINY), -1.0)
        self.refused[rows] = np.where(brought > 0, 0, self.refused[rows] + 1)
        more = 2.0 ** (1 + np.maximum(self.refused[rows], 1))
        factor = np.where(kept > 0.75, 0.2, np.where(kept < 0.25, more, 1.0))
        self.damping[rows] = np.clip(self.damping[rows] * factor, _LEAST_DAMPING, 1e12)
        factor = np.where(kept > 0.5, 0.25, np.where(kept < 0.1, 4.0, 1.0))
        self.caution[rows] = np.clip(self.caution[rows] * factor, _LEAST_CAUTION, 1)
        self.steps[rows] += 1

    def solution(self) -> Solution:
        rows = np.arange(len(self.u))
        return Solution(
            coordinates=self.u,
            value=self.value,
            gradient=self.gradient * self.scale(rows),
            curvature=self.curvature,
            steps=self.steps,
        )


def _solve(system: Array, right: Array) -> Array:
    """Solve each small system; a singular one is damped a little more."""
    try:
        return np.linalg.solve(system, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        more = 1e-6 * np.eye(system.shape[-1])
        return np.linalg.solve(system + more, right[..., None])[..., 0]
