"""Runs of two arms that differ in nothing but the arm: same size, tokens, seed and data order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

_KEYS = ("N", "D", "seed", "data_seed", "schedule", "batch")


@dataclass(frozen=True)
class Pairs:
    """Paired runs.

    Attributes
    ----------
    table : DataFrame
        One row a pair: the keys, ``a`` and ``b`` (losses), ``ratio`` (b over a).
    ratio, lower, upper : float
        Mean ratio (of logarithms) over pairs and its Student interval; NaN below two pairs.
    by : tuple of str
        The columns in which the runs of a pair agree.
    """

    table: pd.DataFrame
    ratio: float
    lower: float
    upper: float
    by: tuple[str, ...]


def pair_keys(runs: pd.DataFrame) -> list[str]:
    """Columns in which pairs agree: not those that the arms are told apart by themselves."""
    arms = [rows for _, rows in runs.groupby("_arm")]
    return [
        key
        for key in _KEYS
        if key in runs
        and runs[key].notna().all()
        and (key in ("N", "D") or set(runs[key]).intersection(*(rows[key] for rows in arms)))
    ]


def pair_label(runs: pd.DataFrame) -> pd.Series:
    """What runs of both arms have in common: rows with one label keep one weight in resamples.

    Where the table says that runs of one size and seed share their start (``cluster``), these are
    one label whatever their length.
    """
    keys = [k for k in pair_keys(runs) if k in _KEYS[:4]]
    if "cluster" in runs and runs["cluster"].notna().all() and "seed" in runs:
        shared = runs.groupby("cluster")["N"].transform("size").max() > 1
        keys = [k for k in keys if k != "D"] if shared else keys
    return runs[keys].map(str).agg("/".join, axis=1)


def pair_runs(runs: pd.DataFrame, arms: Sequence[str], level: float) -> Pairs:
    """Pair the runs of two arms; runs of one arm with equal keys are averaged."""
    keys = pair_keys(runs)
    log = runs.assign(_log=np.log(runs["loss"].astype(float)))
    wide = log.pivot_table(index=keys, columns="_arm", values="_log", aggfunc="mean")
    wide = wide.reindex(columns=list(arms)).dropna()
    logs: Any = wide.rename(columns={arms[0]: "a", arms[1]: "b"})  # np.exp keeps a table
    table: pd.DataFrame = np.exp(logs).reset_index()
    table["ratio"] = table["b"] / table["a"]
    table = table.rename_axis(columns=None)
    difference = (wide[arms[1]] - wide[arms[0]]).to_numpy()
    if len(difference) < 2:
        ratio = float(np.exp(difference.mean())) if len(difference) else np.nan
        return Pairs(table, ratio, np.nan, np.nan, tuple(keys))
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    half = stdtrit(len(difference) - 1, (1 + level) / 2) * error
    middle = difference.mean()
    ratio, lower, upper = (float(np.exp(middle + sign * half)) for sign in (0, -1, 1))
    return Pairs(table, ratio, lower, upper, tuple(keys))
