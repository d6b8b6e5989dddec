"""Levenberg-Marquardt for a whole batch of problems at once.

Each row of the batch is its own problem (a start, a resample, a point of a profile) with its own
damping. Problems that are done leave the batch, so the cost is that of the work left.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from copy import copy, deepcopy
from dataclasses import dataclass, fields

import numpy as np

from scalinglab.analysis.progress import tell

Array = np.ndarray

# assess(coordinates (b, f), problem (b,), caution (b,)) -> value (b,), gradient (b, f), curvature
# (b, f, f); `problem` says which of the batch each row is.
Assess = Callable[[Array, Array, Array], tuple[Array, Array, Array]]

_TINY = 1e-200
# Below the least, damping is lost in rounding; beyond the most, no step is longer than rounding.
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

    def __getitem__(self, rows: slice | Array) -> Solution:
        """The same of some of the problems."""
        return Solution(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def __setitem__(self, rows: Array, solution: Solution) -> None:
        for f in fields(self):
            getattr(self, f.name)[rows] = getattr(solution, f.name)


def minimise(
    assess: Assess,
    start: Array,
    low: Array,
    high: Array,
    *,
    max_step: Array | None = None,
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
    max_step : array, shape (free,), optional
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
    return SOLVER.get()(
        Minimisation(
            assess,
            start,
            low,
            high,
            max_step=np.full(len(low), np.inf) if max_step is None else max_step,
            frozen=np.zeros(start.shape, bool) if frozen is None else frozen,
            damping=damping,
            tolerance=tolerance,
            patience=patience,
            floor=floor,
            steps=steps,
        )
    )


@dataclass(frozen=True)
class Minimisation:
    """A batch of problems to solve: the arguments of `minimise`, with what they leave out."""

    assess: Assess
    start: Array
    low: Array
    high: Array
    max_step: Array
    frozen: Array
    damping: float
    tolerance: float
    patience: int
    floor: float
    steps: int


def solve(asked: Minimisation) -> Solution:
    """Minimise each problem of a batch."""
    batch = _Batch(asked)
    ended, count = deepcopy(batch.solution()), len(batch.rows)
    for _ in range(asked.steps):
        promised, brought = batch.step()
        worth = asked.tolerance * (np.abs(batch.value) + asked.floor)
        still = (promised >= 0) & (promised < worth) & (brought < worth)
        batch.idle = np.where(still, batch.idle + 1, 0)
        finished = (batch.idle >= asked.patience) | (batch.damping >= _MOST_DAMPING)
        if finished.any():
            ended[batch.rows[finished]] = batch.some(np.flatnonzero(finished)).solution()
            batch = batch.some(np.flatnonzero(~finished))
            tell(1 - len(batch.rows) / count)
        if not len(batch.rows):
            break
    ended[batch.rows] = batch.solution()
    return ended


# Who solves: fits in lockstep hand their batches to one (`scalinglab.analysis.fitting.lockstep`).
SOLVER: ContextVar[Callable[[Minimisation], Solution]] = ContextVar("SOLVER", default=solve)

_PLACE = ("u", "value", "gradient", "curvature")
_OF_EACH = (*_PLACE, "rows", "steepest", "frozen", "damping", "caution", "steps", "refused", "idle")


class _Batch:
    """The problems that are not done, one row each; `rows` says which they are."""

    def __init__(self, asked: Minimisation) -> None:
        count = len(asked.start)
        self.assess, self.max_step, self.frozen = asked.assess, asked.max_step, asked.frozen
        self.low, self.high = asked.low, asked.high
        self.rows, self.u = np.arange(count), asked.start
        # Caution 1 is the quadratic bound alone, which always descends: see `Objective.curvature`.
        self.damping, self.caution = np.full(count, float(asked.damping)), np.ones(count)
        self.steps, self.refused, self.idle = np.zeros((3, count), int)
        value, self.gradient, self.curvature = self.assess(self.u, self.rows, self.caution)
        self.value = np.where(np.isfinite(value), value, np.inf)
        self.steepest = np.zeros(self.u.shape)  # largest curvature met: MINPACK's scaling

    def scale(self) -> Array:
        """Natural length of each coordinate; 0 if it is held, at a bound, or of no effect."""
        pushed_out = np.where(self.gradient > 0, self.u <= self.low, self.u >= self.high)
        self.steepest = np.fmax(self.steepest, self.curvature.diagonal(axis1=1, axis2=2))
        moves = ~(self.frozen | pushed_out) & (self.steepest > _TINY)
        return moves / np.sqrt(np.maximum(self.steepest, _TINY))

    def step(self) -> tuple[Array, Array]:
        """Try one step; the decrease promised by the model, and that brought.

        A step that was cut short promises nothing definite: inf.
        """
        scale = self.scale()
        system = self.curvature * scale[:, :, None] * scale[:, None, :]
        diagonal = system.reshape(len(system), -1)[:, :: scale.shape[1] + 1]
        diagonal += np.where(scale > 0, self.damping[:, None], 1)
        with np.errstate(invalid="ignore"):  # a start without a value has no slope
            move = scale * _solve(system, -self.gradient * scale)
        cut = (np.abs(move) > self.max_step).any(-1)
        move = np.minimum(np.maximum(move, -self.max_step), self.max_step)
        trial = np.minimum(np.maximum(self.u + move, self.low), self.high)
        move = trial - self.u
        bend = (self.curvature @ move[:, :, None])[:, :, 0]
        promised = -((self.gradient + 0.5 * bend) * move).sum(-1)
        value, gradient, curvature = self.assess(trial, self.rows, self.caution)
        with np.errstate(invalid="ignore"):
            sound = np.isfinite(value + np.einsum("bij->b", curvature))
            brought = np.where(sound, self.value - value, -np.inf)
        back = np.flatnonzero(~(brought > 0))
        for name, new in zip(_PLACE, (trial, value, gradient, curvature), strict=True):
            if len(back):
                new[back] = getattr(self, name)[back]
            setattr(self, name, new)
        self._trust(brought, promised)
        return np.where(cut, np.inf, promised), np.maximum(brought, 0)

    def _trust(self, brought: Array, promised: Array) -> None:
        """Damp less after a step that kept its promise, more after one that did not, and more and
        more while steps are refused (Nielsen 1999).
        """
        share = np.where(promised > 0, brought / np.maximum(promised, _TINY), -1.0)
        self.refused = np.where(brought > 0, 0, self.refused + 1)
        more = 2.0 ** (1 + np.maximum(self.refused, 1))
        factor = np.where(share > 0.75, 0.2, np.where(share < 0.25, more, 1.0))
        self.damping = np.minimum(np.maximum(self.damping * factor, _LEAST_DAMPING), 1e12)
        factor = np.where(share > 0.5, 0.25, np.where(share < 0.1, 4.0, 1.0))
        self.caution = np.minimum(np.maximum(self.caution * factor, _LEAST_CAUTION), 1)
        self.steps = self.steps + 1

    def some(self, which: Array) -> _Batch:
        """A batch of some of the problems."""
        batch = copy(self)
        for name in _OF_EACH:
            setattr(batch, name, getattr(self, name)[which])
        return batch

    def solution(self) -> Solution:
        """Where the problems stand."""
        with np.errstate(invalid="ignore"):  # a start without a value has no slope
            gradient = self.gradient * self.scale()
        return Solution(self.u, self.value, gradient, self.curvature, self.steps)


def _solve(system: Array, right: Array) -> Array:
    """Solve each small system; a singular one is damped a little more."""
    try:
        return np.linalg.solve(system, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        more = 1e-6 * np.eye(system.shape[-1])
        return np.linalg.solve(system + more, right[..., None])[..., 0]
