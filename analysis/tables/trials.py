"""Learning rates are trials: what is compared is each arm at the best of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.typed import groups_of

_SETTINGS = ("batch", "schedule")  # that are no trials: each has best rates of its own


def at_best_lr(runs: pd.DataFrame, cell: Sequence[str], loss: str = "loss") -> pd.DataFrame:
    """The runs at the learning rate of the least mean loss over seeds, in each cell.

    Parameters
    ----------
    runs : DataFrame
        ``lr``, the columns of the cell and of the loss; rates that diverged have none or an
        infinite one.
    cell : sequence of str
        What has a best rate of its own: arm, size, tokens.
    loss : str
        By which column.
    """
    tried = runs[loss].astype(float).groupby([runs[key] for key in [*cell, "lr"]])
    means = tried.transform(lambda cell_losses: cell_losses.mean(skipna=False)).fillna(float("inf"))
    best = means.groupby([runs[key] for key in cell]).transform("min")
    return runs[(means == best) & (means < float("inf"))]


def trials_chosen(runs: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Each arm, size and length at its best rate; runs that say no rate are left as they are.

    A rate at which a run was lost (its loss is infinite or none) is not the best, unless at every
    rate of a cell one was: then the rest decides, as it does where one rate was tried.
    """
    if "lr" not in runs or runs["lr"].isna().any():
        return runs
    settings = [c for c in _SETTINGS if c in runs and runs[c].notna().all()]
    cell = [arm, "N", "D", *settings]
    if (runs.groupby(cell)["lr"].nunique() <= 1).all():
        return runs
    best = at_best_lr(runs, cell)
    cells = pd.MultiIndex.from_frame(runs[cell])
    other_trials = runs[~cells.isin(pd.MultiIndex.from_frame(best[cell]))]
    other_trials = other_trials[np.isfinite(other_trials["loss"].astype(float))]
    return pd.concat([best, at_best_lr(other_trials, cell)]).sort_index(kind="stable")


def at_the_edge(runs: pd.DataFrame, cell: Sequence[str], loss: str = "loss") -> tuple[int, int]:
    """Cells whose best learning rate is the end of three or more, and how many cells there are."""
    ends, cells = 0, list(groups_of(runs, list(cell)))
    for _, cell_runs in cells:
        means = cell_runs.groupby("lr")[loss].agg(lambda losses: losses.mean(skipna=False))
        means = means.fillna(np.inf)
        is_end = means.idxmin() in (means.index[0], means.index[-1])
        ends += bool(len(means) > 2 and np.isfinite(means.min()) and is_end)
    return ends, len(cells)


def edge_warnings(
    runs: pd.DataFrame, cell: Sequence[str], of: str, loss: str = "loss", where: str = ""
) -> list[str]:
    """A sentence, if the best learning rate of any cell is the end of three or more.

    Parameters
    ----------
    runs, cell, loss
        As for `at_best_lr`.
    of : str
        What cells are, in words.
    where : str
        With which the sentence begins.
    """
    if "lr" not in runs or runs["lr"].isna().any():
        return []
    ends, cells = at_the_edge(runs, cell, loss)
    if not ends:
        return []
    return [
        f"{where}the best learning rate is the end of its grid at {ends} of {cells} {of}: rates"
        " beyond it may do better than is said"
    ]
