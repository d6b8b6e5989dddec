"""Trials: settings that were tried, of which each arm is compared at its best.

The learning rate is one, and so is any other setting that varies within an arm at one size and
length: a weight decay, a warm-up, a depth. Losses of different trials are not averaged.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.typed import groups_of
from scalinglab.scaling.text.flatten import flatten

_SETTINGS = ("batch", "schedule")  # that are no trials: each has best rates of its own
# What tells trials apart, beside the rate. Our records have all that is no size in their recipe.
_TRIED = ("weight_decay", "warmup", "recipe", "optimizer", "depth", "width", "heads")


def trial_columns(runs: pd.DataFrame, cell: Sequence[str]) -> list[str]:
    """The columns that tell the trials of a cell apart, the learning rate first.

    A column that differs only where another does is none, and so is a recipe that differs between
    seeds alone, as by the weights that each starts from. A row that lacks a setting is a trial of
    its own: group with ``dropna=False``.
    """
    tried = [c for c in _TRIED if c in runs and c not in cell and runs[c].notna().any()]
    by_seed = "seed" in runs and runs["seed"].notna().all()
    columns = ["lr"] if "lr" in runs else []
    for name in tried:
        same = [*cell, *columns, *(["seed"] if name == "recipe" and by_seed else [])]
        if (runs.groupby(same, dropna=False)[name].nunique(dropna=False) > 1).any():
            columns.append(name)
    return columns


def tried_settings(runs: pd.DataFrame, arm: str) -> list[str]:
    """Names of the settings of which several were tried at one arm, size and length."""
    names: list[str] = []
    cell = [arm, "N", "D", *_settings(runs)]
    for column in trial_columns(runs, cell):
        if column == "recipe":
            names += _differing(runs, cell)
        elif (runs.groupby(cell)[column].nunique(dropna=False) > 1).any():
            names.append(column)
    return [*dict.fromkeys(names)]


def _settings(runs: pd.DataFrame) -> list[str]:
    return [c for c in _SETTINGS if c in runs and runs[c].notna().all()]


def _differing(runs: pd.DataFrame, cell: Sequence[str]) -> list[str]:
    """Keys in which recipes differ at one learning rate, where they are ours."""
    names = []
    for _, own in runs.groupby([*cell, "lr"]):
        recipes = [text for text in own["recipe"].dropna().unique() if str(text).startswith("{")]
        if len(recipes) > 1:
            flat = [flatten(json.loads(text)) for text in recipes]
            names += [k for k in flat[0] | flat[-1] if len({str(f.get(k)) for f in flat}) > 1]
    return names or ["recipe"]


def at_best_lr(runs: pd.DataFrame, cell: Sequence[str], loss: str = "loss") -> pd.DataFrame:
    """The runs of the trial with the least mean loss over seeds, in each cell.

    Parameters
    ----------
    runs : DataFrame
        ``lr``, the columns of the cell and of the loss; trials that diverged have none or an
        infinite one. See `trial_columns` for what else tells trials apart.
    cell : sequence of str
        Columns of a cell, which has a best trial of its own: arm, size, tokens.
    loss : str
        The column of the loss.
    """
    keys = [runs[key] for key in [*cell, *trial_columns(runs, cell)]]
    tried = runs[loss].astype(float).groupby(keys, dropna=False)
    means = tried.transform(lambda losses: losses.mean(skipna=False)).fillna(float("inf"))
    best = means.groupby([runs[key] for key in cell]).transform("min")
    return runs[(means == best) & (means < float("inf"))]


def trials_chosen(runs: pd.DataFrame, arm: str) -> pd.DataFrame:
    """The runs of each arm, size and length at its best trial; runs without a rate all stay.

    A trial in which a run has no finite loss is not the best. If that holds for every trial of a
    cell, the finite losses decide.
    """
    if "lr" not in runs or runs["lr"].isna().any():
        return runs
    cell = [arm, "N", "D", *_settings(runs)]
    tried = trial_columns(runs, cell)
    if (runs.groupby(cell)[tried].nunique(dropna=False) <= 1).all(axis=None):
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
        trials = cell_runs.groupby(trial_columns(cell_runs, cell), dropna=False)[loss]
        means = trials.agg(lambda losses: losses.mean(skipna=False)).fillna(np.inf)
        means = means.groupby("lr").min()
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
