"""Resampling: what else the same study could have measured.

Rows are drawn again where rows are independent; whole clusters (checkpoints of one run, branches
of one trunk) where they are not. With too few rows or clusters to draw from, the points stay and
their residuals change sign at random instead (the wild bootstrap, by cluster where there are
clusters: Wu 1986; Cameron, Gelbach and Miller 2008).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analysis.misfit import Draws, Prior

Array = np.ndarray

METHODS = ("auto", "rows", "clusters", "wild", "residual")
_FEW_CLUSTERS = 20
_FEW_ROWS_PER_PARAMETER = 8


@dataclass(frozen=True)
class Sample:
    """What a resample is drawn from.

    Attributes
    ----------
    fitted : array, shape (n,)
        log(predicted) at the best fit.
    residual : array, shape (n,)
        log(measured) - log(predicted).
    free : int
        Free parameters.
    cluster : array of int, shape (n,), or None
    noise : array, shape (n,)
        Known noise of each row, 0 where unknown: residuals are not taken to be smaller.
    """

    fitted: Array
    residual: Array
    free: int
    cluster: Array | None
    noise: Array

    @property
    def groups(self) -> Array:
        """Index of the independent group of each row."""
        return np.arange(len(self.fitted)) if self.cluster is None else self.cluster


def choose_method(sample: Sample, method: str = "auto") -> str:
    """The way to resample: the one asked for, or the one that the points allow.

    Raises
    ------
    ValueError
        If the method is unknown, or needs clusters and there are none.
    """
    if method not in METHODS:
        raise ValueError(f"resample={method!r} is not one of {', '.join(METHODS)}")
    if method == "clusters" and sample.cluster is None:
        raise ValueError("resample='clusters' needs a column 'cluster' or the option cluster=")
    if method != "auto":
        return method
    if sample.cluster is not None:
        enough = len(np.unique(sample.cluster)) >= max(_FEW_CLUSTERS, 3 * sample.free)
        return "clusters" if enough else "wild"
    enough = len(sample.fitted) >= _FEW_ROWS_PER_PARAMETER * sample.free
    return "rows" if enough else "wild"


def draw(
    sample: Sample, method: str, count: int, seed: int, prior: Prior | None = None
) -> Draws:
    """`count` resamples by a method of `METHODS` other than "auto"; priors are drawn again too."""
    rng = np.random.default_rng(seed)
    drawn = _draw_points(sample, method, count, rng)
    return drawn if prior is None else replace(drawn, centres=prior.draw(count, rng))


def _draw_points(sample: Sample, method: str, count: int, rng: np.random.Generator) -> Draws:
    if method in ("rows", "clusters"):
        group = sample.groups if method == "clusters" else np.arange(len(sample.fitted))
        members = int(group.max()) + 1
        counts = rng.multinomial(members, np.full(members, 1 / members), size=count)
        return Draws(counts=counts.astype(np.uint16), group=group)
    residual = _widened(sample)
    if method == "wild":
        signs = rng.choice((-1.0, 1.0), size=(count, int(sample.groups.max()) + 1))
        return Draws(targets=sample.fitted + signs[:, sample.groups] * residual)
    chosen = rng.integers(len(residual), size=(count, len(residual)))
    signs = rng.choice((-1.0, 1.0), size=chosen.shape)
    return Draws(targets=sample.fitted + signs * residual[chosen])


def _widened(sample: Sample) -> Array:
    """Residuals as large as the errors behind them.

    A fit with k free parameters shrinks n residuals by about sqrt(1 - k/n), and cannot leave them
    smaller than the noise known from repeated seeds.
    """
    n = len(sample.residual)
    spare = max(n - sample.free, 1)
    widened = sample.residual * np.sqrt(n / spare)
    size = np.sqrt(np.mean(widened**2))
    floor = np.sqrt(np.mean(sample.noise**2))
    if floor <= size:
        return widened
    signs = np.where(widened < 0, -1.0, 1.0)
    return widened * (size / floor) + signs * np.sqrt(1 - (size / floor) ** 2) * sample.noise
