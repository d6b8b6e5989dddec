"""The best value of a hyper-parameter from a sweep: the minimum of a parabola in its logarithm.

Near its minimum a loss is a parabola in log x. It is fitted to the values around the best one. The
interval of its minimum follows from the scatter of repeats, or from the parabola's residuals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scalinglab.analysis.tables.noise import seed_noise
from scalinglab.scaling.errors import UserError

Array = np.ndarray

_DRAWS = 4000
_NEIGHBOURS = 2  # values on each side of the best that the parabola goes through
_FAR = 0.2  # log loss above the best beyond which values are left out: they are no parabola


@dataclass(frozen=True)
class Optimum:
    """The minimum of a sweep.

    Attributes
    ----------
    x, lower, upper : float
        The lowest point and its interval; NaN where the scatter is not known.
    loss, noise : float
        The parabola there, and the relative standard error of that value.
    curvature : float
        Relative excess loss at a factor e from the optimum.
    edge : str
        "lowest" or "highest" if the best value of the grid is its end, else "".
    values, dropped : int
        Different values of x, and runs without a finite loss.
    scatter : float
        Relative standard deviation of a loss about the parabola; NaN if unknown.
    span : (float, float)
        First and last value that the parabola goes through; NaN at an edge.
    """

    x: float
    lower: float
    upper: float
    loss: float
    noise: float
    curvature: float
    edge: str
    values: int
    dropped: int
    scatter: float
    span: tuple[float, float] = (np.nan, np.nan)

    def excess(self, x: float | Array) -> float | Array:
        """Relative excess loss at other values, by the parabola: the regret of using them.

        Beyond `span` it is an extrapolation.
        """
        return self.curvature * np.log(np.asarray(x, float) / self.x) ** 2

    def sentence(self, name: str) -> str:
        """The optimum in words."""
        if self.edge:
            return (
                f"the best {name} is the {self.edge} of {self.values} values, {self.x:.3g}: "
                "the optimum lies there or beyond; extend the grid"
            )
        between = "" if np.isnan(self.lower) else f" ({self.lower:.3g} to {self.upper:.3g})"
        lost = f"; {self.dropped} runs diverged" if self.dropped else ""
        return f"the best {name} is {self.x:.3g}{between}, loss {self.loss:.4f}{lost}"


def optimum(
    x: ArrayLike,
    loss: ArrayLike,
    *,
    scatter: float | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> Optimum:
    """Fit a parabola in log x around the best of a sweep.

    Parameters
    ----------
    x, loss : arrays, shape (runs,)
        Repeats of one x are seeds. Losses that are not finite (diverged) are left out.
    scatter : float, optional
        Relative standard deviation of a loss over seeds, where it is known from elsewhere; default:
        pooled over repeats, else from what the parabola misses.
    level : float
    seed : int
        Of the draws behind the interval.

    Raises
    ------
    UserError
        If fewer than three values of x have a finite loss, or some x is not above 0.
    """
    x, loss = np.asarray(x, float), np.asarray(loss, float)
    if (x <= 0).any():
        raise UserError("an optimum in the logarithm needs values above 0")
    finite = np.isfinite(loss)
    u, y = np.log(x[finite]), np.log(loss[finite])
    values = np.unique(u)
    if len(values) < 3:
        raise UserError(
            f"a parabola needs three values with a finite loss; there are {len(values)}"
        )
    means = np.array([y[u == v].mean() for v in values])
    best = int(means.argmin())
    edge = _edge(x, values, best)
    if edge:
        return Optimum(
            float(np.exp(values[best])),
            np.nan,
            np.nan,
            float(np.exp(means[best])),
            np.nan,
            np.nan,
            edge,
            len(values),
            int((~finite).sum()),
            np.nan,
        )
    near = _near(means)
    inside = np.isin(u, values[near])
    middle = values[best]
    design = np.stack([np.ones(inside.sum()), u[inside] - middle, (u[inside] - middle) ** 2], 1)
    coefficients, *_ = np.linalg.lstsq(design, y[inside], rcond=None)
    noise_level, spare = (
        _scatter(u, y, design, coefficients, inside) if scatter is None else (scatter, 0)
    )
    place, height = _lowest(coefficients, values[near] - middle)
    lower, upper, noise = _doubt(
        coefficients, design, noise_level, spare, values[near] - middle, level, seed
    )
    return Optimum(
        x=float(np.exp(middle + place)),
        lower=float(np.exp(middle + lower)),
        upper=float(np.exp(middle + upper)),
        loss=float(np.exp(height)),
        noise=noise,
        curvature=float(max(coefficients[2], 0.0)),
        edge="",
        values=len(values),
        dropped=int((~finite).sum()),
        scatter=noise_level,
        span=(float(np.exp(values[near][0])), float(np.exp(values[near][-1]))),
    )


def nearest(sweep: pd.DataFrame, x: str = "lr") -> pd.DataFrame:
    """The runs of one sweep that its parabola goes through: those around the best value of `x`."""
    finite = sweep[np.isfinite(sweep["loss"])]
    means = np.log(finite["loss"]).groupby(finite[x]).mean()
    if means.empty:
        return finite
    return finite[finite[x].isin(means.index[_near(means.to_numpy())])]


def _near(means: Array) -> Array:
    """The values that the parabola is fitted to: neighbours of the best, not far above it."""
    best = int(means.argmin())
    beside = np.abs(np.arange(len(means)) - best) <= _NEIGHBOURS
    above = means - means[best]
    third = np.sort(above[beside])[:3][-1]
    return beside & (above <= max(_FAR, third))


def _edge(x: Array, values: Array, best: int) -> str:
    """Which end of the grid is best; values above it that all diverged are no end."""
    if best == 0:
        return "lowest"
    diverged_above = np.log(x.max()) > values[-1]
    return "highest" if best == len(values) - 1 and not diverged_above else ""


def _lowest(coefficients: Array, span: Array) -> tuple[Array, Array]:
    """Place and height of the lowest point within a span, for parabolas of shape (..., 3)."""
    a, b, c = np.moveaxis(np.asarray(coefficients), -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = np.clip(-b / (2 * c), span[0], span[-1])
    downhill = np.where(b < 0, span[-1], span[0])  # one that is open below has its end
    place = np.where(c > 0, vertex, downhill)
    return place, a + b * place + c * place**2


def _scatter(
    u: Array, y: Array, design: Array, coefficients: Array, inside: Array
) -> tuple[float, int]:
    """Standard deviation of a loss, and its degrees of freedom.

    Pooled over repeats; without repeats from the parabola's residuals; NaN if these are all zero by
    construction.
    """
    groups = pd.Series(y).groupby(u)
    spare = int((groups.size() - 1).sum())
    if spare:
        return float(np.sqrt(((y - groups.transform("mean")) ** 2).sum() / spare)), spare
    left = len(design) - design.shape[1]
    missed = y[inside] - design @ coefficients
    return (float(np.sqrt((missed**2).sum() / left)), left) if left else (np.nan, 0)


def _doubt(
    coefficients: Array,
    design: Array,
    scatter: float,
    spare: int,
    span: Array,
    level: float,
    seed: int,
) -> tuple[float, float, float]:
    """Interval of the minimum's place and standard error of its height, by draws of the parabola.

    The draws are Student's with `spare` degrees of freedom; 0 means that the scatter is known.
    """
    if not np.isfinite(scatter):
        return np.nan, np.nan, np.nan
    covariance = scatter**2 * np.linalg.inv(design.T @ design)
    rng = np.random.default_rng(seed)
    draws = rng.multivariate_normal(coefficients, covariance, _DRAWS, method="eigh")
    if spare:
        widen = np.sqrt(spare / rng.chisquare(spare, (_DRAWS, 1)))
        draws = coefficients + (draws - coefficients) * widen
    places, heights = _lowest(draws, span)
    tail = (1 - level) / 2
    low, high = np.quantile(places, [tail, 1 - tail])
    return float(low), float(high), float(heights.std())


def tuned(
    table: pd.DataFrame, *, by: Sequence[str] = ("N", "D"), x: str = "lr", level: float = 0.95
) -> pd.DataFrame:
    """The optimum of every cell of a sweep: points of a ladder whose recipe was tuned.

    ``analysis.fit(law, tuned(sweep), noise="noise")`` propagates the uncertainty of the tuning.

    Parameters
    ----------
    table : DataFrame
        One row per run: `by`, `x` and ``loss`` (not finite where it diverged).
    by : list of str
        What is fixed within a sweep.
    x : str
        The column that was swept; it must be above 0.
    level : float
        Of the intervals of the optima.

    Returns
    -------
    DataFrame
        `by`, `x` with ``_lower`` and ``_upper``, ``loss``, ``noise`` (relative, of the lowest
        value), ``curvature`` and ``edge``. The scatter of seeds is pooled over all cells.
    """
    scatter = repeats(table, [*by, x])
    rows = []
    for cell, runs in table.groupby(list(by)):
        minimum = optimum(runs[x], runs["loss"], scatter=scatter, level=level)
        rows.append(
            dict(zip(by, cell, strict=True))
            | {
                x: minimum.x,
                f"{x}_lower": minimum.lower,
                f"{x}_upper": minimum.upper,
                "loss": minimum.loss,
                "noise": minimum.noise,
                "curvature": minimum.curvature,
                "edge": minimum.edge,
            }
        )
    return pd.DataFrame(rows)


def repeats(table: pd.DataFrame, cell: Sequence[str]) -> float | None:
    """Relative scatter of seeds over a whole sweep; None without repeats."""
    return seed_noise(table[np.isfinite(table["loss"])], by=cell) if "seed" in table else None
