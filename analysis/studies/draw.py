"""The one kind of picture that verdicts share: lines of points over a logarithmic axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Line = tuple[str, object, object]  # label, x, y


def panels(
    drawn: Iterable[tuple[str, Iterable[Line]]], x: str, y: str, *, log_y: bool = False,
    marks: Mapping[str, float] | None = None,
) -> Figure:
    """One panel each of (title, lines): points joined by lines.

    Parameters
    ----------
    drawn : iterable of (title, lines)
        A line is (label, x values, y values); what is not finite is left out.
    x, y : str
        What the axes show; x is logarithmic.
    log_y : bool
    marks : mapping of str to float, optional
        Title of a panel -> an x that is marked there.
    """
    from matplotlib.figure import Figure

    drawn = [(title, list(lines)) for title, lines in drawn]
    figure = Figure(figsize=(5.2 * len(drawn) if len(drawn) > 1 else 7.4, 4.2),
                    layout="constrained")
    for ax, (title, lines) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn,
                                  strict=True):
        for label, across, up in lines:
            across, up = np.asarray(across, float), np.asarray(up, float)
            shown = np.isfinite(across) & np.isfinite(up)
            ax.plot(across[shown], up[shown], "o-", ms=4, lw=1, label=label)
        ax.set_xscale("log")
        if title in (marks or {}):
            ax.axvline(marks[title], color="0.5", lw=1, ls="--")
        if log_y:
            ax.set_yscale("log")
        ax.set_title(title, fontsize=10)
        ax.set_xlabel(x)
        ax.set_ylabel(y)
        ax.grid(alpha=0.2)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(fontsize=8)
    return figure
