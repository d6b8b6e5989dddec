"""Loss against the share of one pool of data in a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalinglab.analysis.laws.mixing import SHARE
from scalinglab.analysis.plot.loss_against_figure import loss_against

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result


def mixture(
    result: Result,
    runs: pd.DataFrame,
    pool: str,
    *,
    by: str | None = None,
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Loss against one share of a mixture, and the law along it; options as `loss_against`.

    Parameters
    ----------
    result : Result
        A fit of a law that reads the share.
    runs : DataFrame
        The fitted runs.
    pool : str
        The law's column of that share.
    by : str, optional
        A colour a value: the size, or another share.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    ax = loss_against(result, runs, pool, by=by, within=(0.0, 1.0), ax=ax, **options)
    name = pool.removeprefix(SHARE)
    ax.set_xlabel(f"share of {name}" if name != pool else f"share {pool} of the mixture")
    return ax
