"""The regret of the laws of learning rate and batch at cells that they were not fitted to.

One (N, D) at a time is left out, the laws are fitted to the others, and the run of that cell that
is nearest to their choice is compared with its best. The baseline is to tune once: the pair of
learning rate and batch that is best on average over the other cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.best_fit import BestFit, FitOptions, best_fit
from scalinglab.analysis.fitting.lockstep import in_lockstep
from scalinglab.analysis.fitting.lr_batch import LrBatch, good_runs, regret
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.lr_batch import BEST_BATCH, BEST_LR
from scalinglab.scaling.errors import UserError

_LEAST_CELLS = 4  # so that three are left for the three parameters of the learning rate


def held_out_regret(laws: LrBatch, **options: Any) -> pd.DataFrame:
    """Regret of each cell by laws that were not fitted to it.

    Parameters
    ----------
    laws : LrBatch
        As fitted to all cells of a sweep.
    **options
        Of the best fits; see `analysis.fit`.

    Returns
    -------
    DataFrame
        One row per cell: ``N, D``, the ``lr`` and ``batch`` that laws of the other cells choose,
        ``regret`` (excess loss of the run nearest to them over the best of the cell), and
        ``constant``: the regret of the pair that is best for the other cells on average.

    Raises
    ------
    UserError
        If the sweep has fewer than four cells.
    """
    sweep = laws.sweep
    cells = sweep["cell"].unique()
    if len(cells) < _LEAST_CELLS:
        raise UserError(
            f"the sweep has {len(cells)} different (N, D): held-out regret needs {_LEAST_CELLS}"
        )
    constant = _regret_of_pairs(sweep)
    fits = in_lockstep(
        [partial(_without, laws, law, c, options) for law in (BEST_LR, BEST_BATCH) for c in cells]
    )
    rows = []
    for cell, for_lr, for_batch in zip(cells, fits[: len(cells)], fits[len(cells) :], strict=True):
        cell_runs = sweep[sweep["cell"] == cell]
        lr, batch = _predicted(for_lr, cell_runs), _predicted(for_batch, cell_runs)
        best_constant = constant.drop(index=cell).mean().idxmin()
        rows.append(
            {
                "N": cell_runs["N"].iloc[0],
                "D": cell_runs["D"].iloc[0],
                "lr": lr.iloc[0],
                "batch": batch.iloc[0],
                "regret": regret(cell_runs, lr, batch).iloc[0],
                "constant": constant.loc[cell, best_constant],
            }
        )
    return pd.DataFrame(rows).sort_values(["N", "D"], ignore_index=True)


def _without(laws: LrBatch, law: Law, cell: str, options: Mapping[str, Any]) -> BestFit:
    """One law, fitted to the good runs of all cells but one."""
    good = good_runs(laws.sweep, laws.within)
    return best_fit(law, good[good["cell"] != cell], FitOptions(**{"cluster": "cell", **options}))


def _predicted(fitted: BestFit, runs: pd.DataFrame) -> pd.Series:
    """What a law says for the N and D of runs."""
    space = fitted.misfit.space
    params = space.expand(fitted.best.coordinates)
    return pd.Series(space.law.predict(params, space.law.read(runs))[0], index=runs.index)


def _regret_of_pairs(sweep: pd.DataFrame) -> pd.DataFrame:
    """Regret in each cell (rows) of every pair of learning rate and batch tried (columns)."""
    pairs = np.log(sweep[["lr", "batch"]].drop_duplicates().to_numpy())
    rows = {}
    for cell, cell_runs in sweep.groupby("cell"):
        tried = np.log(cell_runs[["lr", "batch"]].to_numpy())
        away = ((pairs[:, None] - tried) ** 2).sum(-1)
        rows[cell] = cell_runs["excess"].to_numpy()[away.argmin(1)]
    return pd.DataFrame.from_dict(rows, orient="index")


def regret_summary(laws: LrBatch) -> dict[str, Any]:
    """Regret of the laws at the cells they were fitted to and, if possible, at held-out cells.

    Returns
    -------
    dict
        ``fitted_mean``; ``cells``, how many (N, D) there are; ``held_out_mean, held_out_largest,
        constant_mean`` and ``each``, the table of `held_out_regret`, or else ``why_not_held_out``.
    """
    summary: dict[str, Any] = {
        "fitted_mean": laws.regret().mean(),
        "held_out_mean": None,
        "held_out_largest": None,
        "constant_mean": None,
        "cells": laws.sweep["cell"].nunique(),
    }
    try:
        table = held_out_regret(laws)
    except UserError as error:  # too few cells to leave one out
        return summary | {"why_not_held_out": str(error)}
    return summary | {
        "held_out_mean": table["regret"].mean(),
        "each": table,
        "held_out_largest": table["regret"].max(),
        "constant_mean": table["constant"].mean(),
    }
