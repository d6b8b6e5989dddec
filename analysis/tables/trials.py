"""Learning rates are trials: what is compared is each arm at the best of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


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
    means = tried.transform(lambda own: own.mean(skipna=False)).fillna(float("inf"))
    best = means.groupby([runs[key] for key in cell]).transform("min")
    return runs[(means == best) & (means < float("inf"))]
