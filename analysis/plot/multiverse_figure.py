"""Every answer of a multiverse, and how its choices share the variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from scalinglab.analysis.judgement.multiverse import SHARES
from scalinglab.analysis.plot.frames import frame
from scalinglab.analysis.plot.labels import budget_in_words, literal
from scalinglab.analysis.plot.layers import layers, points
from scalinglab.analysis.plot.style import axes, category, finish, palette
from scalinglab.analysis.plot.ticks import log_axis
from scalinglab.analysis.tables.powers import short
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.judgement.multiverse import Multiverse

_LONGEST = 44  # characters of an option in the legend


def multiverse(
    variants: Multiverse, *, answer: float | None = None, ax: Axes | None = None
) -> Axes:
    """The answer of every analysis variant, sorted, coloured by the choice that matters most.

    The variants are those of the range that is told: N counted in one way, and no run far from the
    law.

    Parameters
    ----------
    variants : Multiverse
    answer : float, optional
        That of the study: a grey line.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    UserError
        If no choice has two options with an answer.
    """
    most = str(_shares(variants)["choice"].iloc[0])
    ax = axes() if ax is None else ax
    ways = variants.in_range.dropna(subset="answer").sort_values("answer", ignore_index=True)
    ways["variant"] = ways.index + 1
    for k, (name, group) in enumerate(ways.drop(columns="why").groupby(most, sort=False)):
        look = category(k)
        points(ax, group, "variant", "answer", _cut(str(name)), **look)
    if answer is not None:
        ax.axhline(answer, color="0.45", lw=1.0, zorder=1.6)
    log_axis(ax.yaxis, short)
    frame(ax)
    ax.set_xlim(0, len(ways) + 1)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    label = "analysis variant, sorted by its answer"
    return finish(ax, label, budget_in_words(variants.of), title=f"{literal(most)}:")


def multiverse_shares(variants: Multiverse, *, ax: Axes | None = None) -> Axes:
    """The share of each choice in the variance of the log answer; parameters as `multiverse`."""
    shares = _shares(variants)
    ax = axes() if ax is None else ax
    rows = shares.iloc[::-1].reset_index(drop=True)
    places = np.arange(len(rows))
    ax.barh(places, 100 * rows["total_effect"], color="0.82", label=SHARES["total_effect"])
    ax.barh(
        places,
        100 * rows["main_effect"],
        color=palette()[0],
        height=0.4,
        label=SHARES["main_effect"],
    )
    ax.set_yticks(places, [literal(choice) for choice in rows["choice"]])
    ax.set_xlim(0, 105)
    table = pd.DataFrame(
        {
            "choice": rows["choice"],
            "main effect (%)": 100 * rows["main_effect"],
            "total effect (%)": 100 * rows["total_effect"],
            "place": places,
        }
    )
    # Points without a size: what the bars show is data as any other.
    points(ax, table, "total effect (%)", "place", "choices", size=0.01, label=False)
    layers(ax)[-1].artists[0].set_visible(False)
    return finish(ax, "share of the variance of the log answer (%)", "analysis choice")


def _shares(variants: Multiverse) -> pd.DataFrame:
    if variants.shares.empty:
        raise UserError("there is nothing to draw: no choice has two options with an answer")
    return variants.shares


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
