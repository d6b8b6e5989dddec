"""Statistics of the paired runs of each size: counts, mean log ratios, spread between seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray

_PRIOR_FREEDOM = 10.0  # with which a size's own variance is drawn to that of all sizes


@dataclass(frozen=True)
class SizeMeans:
    """One entry per size, the smallest first; a pair is a baseline and a candidate of one seed.

    Attributes
    ----------
    C : array
        Training compute of the baseline (FLOPs): the scale.
    cost : array
        Cost of the baseline in the unit of the multiplier: FLOPs or device-seconds.
    dearer : array
        Mean log of the candidate's cost over the baseline's.
    baseline : array
        Mean loss of the baseline (geometric).
    ratio : array
        Mean over pairs of log(candidate's loss / baseline's loss).
    counts : array
        Pairs.
    squares : array
        Sum over pairs of squared deviations of the log ratio from its mean.
    dearer_squares : array
        The same of the log ratio of costs: measured seconds scatter, FLOPs do not.
    correlation : float
        Correlation of the log losses of a pair's two runs, within sizes; NaN below two pairs.
    """

    C: Array
    cost: Array
    dearer: Array
    baseline: Array
    ratio: Array
    counts: Array
    squares: Array
    dearer_squares: Array
    correlation: float

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the variance between seeds."""
        return int(np.sum(self.counts - 1))

    @property
    def pooled(self) -> float:
        """Variance of a pair's log ratio between seeds, over all sizes."""
        return self._mean_square(self.squares)

    @property
    def pooled_dearer(self) -> float:
        """Variance of a pair's log ratio of costs, over all sizes."""
        return self._mean_square(self.dearer_squares)

    @property
    def variances(self) -> Array:
        """The same at each size: its own, drawn to that of all sizes by as many as ten pairs."""
        sums = _PRIOR_FREEDOM * self.pooled + self.squares
        return sums / (_PRIOR_FREEDOM + self.counts - 1)

    def _mean_square(self, squares: Array) -> float:
        return float(np.sum(squares) / self.freedom) if self.freedom > 0 else np.nan

    @classmethod
    def of_pairs(
        cls,
        size: Array,
        C: Array,
        baseline: Array,
        candidate: Array,
        cost: tuple[Array, Array] | None = None,
    ) -> SizeMeans:
        """From one entry per pair: index of its size, FLOPs, losses, and costs other than FLOPs."""
        base, log_candidate = np.log(baseline), np.log(candidate)
        baseline_cost, candidate_cost = (C, C) if cost is None else cost
        dearer = np.log(candidate_cost / baseline_cost)

        counts = np.bincount(size)

        def mean(x: Array) -> Array:
            return np.bincount(size, x) / counts

        ratio = log_candidate - base
        centred = [x - mean(x)[size] for x in (base, log_candidate, ratio, dearer)]
        spread = np.sqrt(np.sum(centred[0] ** 2) * np.sum(centred[1] ** 2))
        return cls(
            C=np.exp(mean(np.log(C))),
            cost=np.exp(mean(np.log(baseline_cost))),
            dearer=mean(dearer),
            baseline=np.exp(mean(base)),
            ratio=mean(ratio),
            counts=counts,
            squares=np.bincount(size, centred[2] ** 2),
            dearer_squares=np.bincount(size, centred[3] ** 2),
            correlation=float(np.sum(centred[0] * centred[1]) / spread) if spread > 0 else np.nan,
        )
