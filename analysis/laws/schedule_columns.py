"""What a curve law reads of a schedule's last step, as a smooth function of a few knots.

A schedule here is a linear warm-up and straight lines between knots. Its steps are summed in
stretches that shrink towards the end, where each drop is felt differently; within a stretch the
learning rate is straight. Everything is analytic in the knots, so that a complex step gives exact
derivatives; the exact sum over all steps (`law.read`) is asked for what is reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.laws import lr_annealing, multi_power
from scalinglab.analysis.laws.law import Columns, Law
from scalinglab.scaling.errors import UserError

Array = np.ndarray

_STRETCHES = 120
_WARMUP_STRETCHES = 40  # it is far back: its drops have long been felt
_LEAST_LR = 1e-12  # of the peak, for its logarithm
_KNOTS = 24


@dataclass(frozen=True)
class Course:
    """Where a schedule has its knots.

    Attributes
    ----------
    steps, warmup : int
        Steps of the run, and those of the linear rise from zero to the first knot.
    knots : array, shape (k,)
        Steps (from 0) at which the learning rate is free; the last is the last step.
    """

    steps: int
    warmup: int
    knots: Array

    @classmethod
    def of(cls, steps: int, warmup: int) -> Course:
        """Knots that are denser towards the end.

        Raises
        ------
        UserError
            If the run has fewer than ten steps or the warm-up leaves less than half of them.
        """
        if steps < 10:
            raise UserError(f"steps = {steps}: a schedule to be chosen needs 10 or more")
        if not 0 <= warmup <= steps / 2:
            raise UserError(f"warmup = {warmup}: allowed is 0 to {steps // 2}, half of the steps")
        share = 1 - (1 - np.linspace(0, 1, min(_KNOTS, steps - warmup))) ** 1.7
        return cls(steps, warmup, np.unique(np.round(warmup + share * (steps - 1 - warmup))))

    def rates(self, values: Array) -> Array:
        """Learning rate of every step, shape (steps,), of values at the knots (k,)."""
        corners = np.concatenate([[-1.0], self.knots]) if self.warmup else self.knots
        heights = np.concatenate([[0.0], values]) if self.warmup else values
        return np.interp(np.arange(self.steps), corners, heights)

    def table(self, values: Array) -> pd.DataFrame:
        """The corners: ``step, lr``, straight lines between."""
        rates = self.rates(values)
        at = np.unique(np.concatenate([[0], self.knots]).astype(int))
        return pd.DataFrame({"step": at, "lr": rates[at]})

    def columns(self, law: Law, values: Array, size: Mapping[str, float]) -> Columns:
        """What the law reads at the last step, for values (k, batch) that may be complex.

        Raises
        ------
        UserError
            If the law reads something of a schedule that is not known here, or a column is missing.
        """
        unknown = set(law.columns) - {"S1", "nodes", "felt", *size}
        if unknown or not law.curve:
            raise UserError(
                f"the best schedule needs a law of whole curves; {law.name} reads"
                f" {', '.join(law.columns)}" + (" (give N=...)" if unknown == {"N"} else "")
            )
        edges, rates = self._edges(values)
        gap = np.diff(edges)[:, None]
        area = gap * (rates[1:] + rates[:-1]) / 2
        total = area.sum(0) + (rates[0] + rates[-1]) / 2
        columns: dict[str, Array] = {"S1": total}
        rises = law.prepare is multi_power.responses  # the warm-up's rise counts as well
        counted = np.ones(len(gap), bool) if rises else edges[:-1] >= self.knots[0]
        drop = np.where(counted[:, None], rates[:-1] - rates[1:], 0)
        if "felt" in law.columns:
            columns["felt"] = lr_annealing.TO_SERIES @ self._felt(edges, drop)
        if "nodes" in law.columns:
            # From the mean drop of a stretch on, that drop's own step and the last one included.
            since = np.flip(np.cumsum(np.flip(area, 0), 0), 0) - area / 2 + rates[-1] / 2
            lower = (rates[1:] + rates[:-1]) / 2 - (rates[:-1] - rates[1:]) / (2 * gap)
            least = _LEAST_LR * np.abs(values).max()
            log_lr = np.log(np.where(lower.real > least, lower, least))
            columns["nodes"] = np.concatenate([drop, log_lr, since])
        return columns | {name: np.full(total.shape, size[name]) for name in size}

    def _edges(self, values: Array) -> tuple[Array, Array]:
        """Ends of the stretches (m,) and the learning rate there (m, batch)."""
        first = self.knots[0]
        room = self.steps - 1 - first
        near = np.geomspace(1, room + 1, _STRETCHES) - 1  # to the end, and to the beginning
        even = np.linspace(0, room, _STRETCHES)
        places = np.concatenate([near, room - near, even, self.knots - first])
        after = np.unique(np.round(places)) + first
        count = _WARMUP_STRETCHES if self.warmup else 1  # without one, the rate jumps from zero
        before = np.linspace(-1, first, count + 1)[:-1]
        weights = np.stack([np.interp(after, self.knots, unit) for unit in np.eye(len(self.knots))])
        rising = ((before + 1) / (first + 1))[:, None] * values[:1]
        return np.concatenate([before, after]), np.concatenate([rising, weights.T @ values])

    def _felt(self, edges: Array, drop: Array) -> Array:
        """(1 - decay) S2 at the last step for the decays of the law's table, (decays, batch)."""
        decay = lr_annealing.DECAYS[:, None]
        gap, age = np.diff(edges), edges[-1] - edges[1:]
        mean = decay**age * (1 - decay**gap) / (1 - decay) / gap  # over the steps of a stretch
        return drop.sum(0) - decay * (mean @ drop)
