"""Learning rates are trials: each arm is compared at its best one."""

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
        Columns of a cell, which has a best rate of its own: arm, size, tokens.
    loss : str
        The column of the loss.
    """
    tried = runs[loss].astype(float).groupby([runs[key] for key in [*cell, "lr"]])
    means = tried.transform(lambda cell_losses: cell_losses.mean(skipna=False)).fillna(float("inf"))
    best = means.groupby([runs[key] for key in cell]).transform("min")
    return runs[(means == best) & (means < float("inf"))]


def trials_chosen(runs: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The runs of each arm, size and length at its best rate; runs without a rate all stay.

    A rate at which a run has no finite loss is not the best. If that holds for every rate of a
    cell, the finite losses decide.
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
    """Number of cells whose best rate is at the end of three or more, and number of cells."""
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
        The cells in words.
    where : str
        Beginning of the sentence.
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
