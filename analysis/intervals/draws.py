"""Resamples of the points, and priors: the inputs of a fit's refits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Draws:
    """Resamples of the points: a weight of each group of rows, new targets, or both.

    Attributes
    ----------
    counts : array, shape (draws, groups), optional
    group : array of int, shape (n,), optional
        Which column of `counts` a row follows.
    targets : array, shape (draws, n), optional
    centres : array, shape (draws, free), optional
        Centres of the priors: as data they vary from resample to resample.
    censored : array, shape (draws, m), optional
        A weight of each censored row.
    """

    counts: Array | None = None
    group: Array | None = None
    targets: Array | None = None
    centres: Array | None = None
    censored: Array | None = None

    def __len__(self) -> int:
        drawn = self.counts if self.targets is None else self.targets
        assert drawn is not None  # either is there
        return len(drawn)

    def some(self, which: slice | Array) -> Draws:
        """Some of the resamples."""
        counts, targets, centres, censored = (
            None if drawn is None else drawn[which]
            for drawn in (self.counts, self.targets, self.centres, self.censored)
        )
        return Draws(counts, self.group, targets, centres, censored)

    def seen(
        self, draw: Array, target: Array, weight: Array, centre: Array
    ) -> tuple[Array, Array, Array]:
        """Targets, weights and centres of some draws, from those of the points themselves."""
        return (
            target if self.targets is None else self.targets[draw],
            weight if self.counts is None else self.counts[draw][:, self.group] * weight,
            centre if self.centres is None else self.centres[draw],
        )


@dataclass(frozen=True)
class Prior:
    """Normal priors on the free coordinates of a fit.

    Attributes
    ----------
    centre, width : array, shape (free,)
        Normal; the width is inf where nothing is known.
    information : float
        Exchange rate between log-likelihood and the misfit: see `Objective.information`.
    """

    centre: Array
    width: Array
    information: float

    @property
    def strength(self) -> Array:
        """Weight of each prior beside the data, (free,)."""
        return 1 / (self.width**2 * self.information)

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """Centres of the priors in resamples, shape (count, free)."""
        width = np.where(np.isfinite(self.width), self.width, 0)  # 0 where there is no prior
        return self.centre + width * rng.standard_normal((count, len(width)))
