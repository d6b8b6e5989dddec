"""How much worse a fit gets when one parameter is held elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scalinglab.analysis.plot.labels import decimal, literal
from scalinglab.analysis.plot.layers import line
from scalinglab.analysis.plot.style import BAND, axes, finish, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.profile import Profile

_HIGH = 3.0  # heights of the limit that are shown


def profile(likelihood: Profile, unit: str = "", *, ax: Axes | None = None) -> Axes:
    """The likelihood ratio of a parameter with its interval.

    Parameters
    ----------
    likelihood : Profile
        From `analysis.profile_likelihood`.
    unit : str
        Of the parameter, for the axis.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = axes() if ax is None else ax
    table, (low, high) = likelihood.table, likelihood.interval
    line(ax, table, "value", "ratio", "profile", color=palette()[0], lw=1.6, marker="o", ms=3)
    limit = _limit(likelihood)
    ax.axvspan(
        low, high, color=palette()[0], alpha=BAND, lw=0, zorder=1, label=_interval(likelihood)
    )
    if np.isfinite(limit):
        ax.axhline(limit, color="0.45", lw=0.9, ls="--", zorder=1.6)
    top = _HIGH * limit if np.isfinite(limit) else float(table["ratio"].max())
    ax.set_ylim(-0.04 * top, top)
    near = table[table["ratio"] <= 1.5 * top]["value"]
    if len(near) > 1:
        margin = 0.04 * (near.max() - near.min())
        ax.set_xlim(near.min() - margin, near.max() + margin)
    name = literal(likelihood.parameter) + (f" ({unit})" if unit else "")
    return finish(ax, name, "likelihood ratio (χ²)")


def _limit(likelihood: Profile) -> float:
    """The statistic at a closed end of the interval."""
    ends = [
        end for end, closed in zip(likelihood.interval, likelihood.closed, strict=True) if closed
    ]
    if not ends:
        return float("nan")
    return float(np.interp(ends[0], likelihood.table["value"], likelihood.table["ratio"]))


def _interval(likelihood: Profile) -> str:
    low, high = likelihood.interval
    open_ends = [
        name
        for name, closed in zip(("below", "above"), likelihood.closed, strict=True)
        if not closed
    ]
    text = f"interval {decimal(low, 4)} to {decimal(high, 4)}"
    return text + (f", open {' and '.join(open_ends)}" if open_ends else "")
