"""Runs of two arms that differ in nothing but the arm: same size, tokens, seed and data order.

Sizes that differ by a few per cent count as equal: a mixture of experts has the active parameters
of a dense model and those of a router.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from scalinglab.analysis.tables.clusters import row_labels

_KEYS = ("N", "D", "seed", "data_seed", "schedule", "batch")
_NEAR = 0.05  # largest relative difference in N between the models of a pair


@dataclass(frozen=True)
class Pairs:
    """Paired runs.

    Attributes
    ----------
    table : DataFrame
        One row per pair: the keys, ``a`` and ``b`` (losses), ``ratio`` (b over a).
    ratio, lower, upper : float
        Mean ratio (of logarithms) over pairs and its Student interval; NaN below two pairs.
    by : tuple of str
        The columns in which the runs of a pair agree.
    apart : float
        The most by which the N of a pair differ, relative.
    """

    table: pd.DataFrame
    ratio: float
    lower: float
    upper: float
    by: tuple[str, ...]
    apart: float = 0.0


def matched_sizes(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with equal N for sizes of the two arms that are near and each other's nearest.

    A size that both arms have stays as it is.
    """
    arms = [np.unique(rows["N"].to_numpy(float)) for _, rows in runs.groupby("_arm")]
    if len(arms) != 2:
        return runs
    a, b = (np.setdiff1d(arm, opponent) for arm, opponent in (arms, arms[::-1]))
    if not len(a) or not len(b):
        return runs
    apart = np.abs(np.log(b[:, None] / a))
    nearest, back = apart.argmin(1), apart.argmin(0)
    same = {
        b[i]: a[j] for i, j in enumerate(nearest) if back[j] == i and apart[i, j] <= np.log1p(_NEAR)
    }
    return runs.assign(N=runs["N"].astype(float).replace(same)) if same else runs


def pair_keys(runs: pd.DataFrame) -> list[str]:
    """Columns in which pairs agree, without those that distinguish the arms."""
    arms = [rows for _, rows in runs.groupby("_arm")]
    return [
        key
        for key in _KEYS
        if key in runs
        and runs[key].notna().all()
        and (key in ("N", "D") or set(runs[key]).intersection(*(rows[key] for rows in arms)))
    ]


def pair_label(runs: pd.DataFrame) -> pd.Series:
    """A label for corresponding runs of both arms, which have one weight in resamples.

    If the table says that runs of one size and seed share their start (``cluster``), they have one
    label whatever their length.
    """
    runs = matched_sizes(runs)
    keys = [k for k in pair_keys(runs) if k in _KEYS[:4]]
    if "cluster" in runs and runs["cluster"].notna().all() and "seed" in runs:
        shared = runs.groupby("cluster")["N"].transform("size").max() > 1
        keys = [k for k in keys if k != "D"] if shared else keys
    return row_labels(runs[keys])


def pair_runs(runs: pd.DataFrame, arms: Sequence[str], level: float) -> Pairs:
    """Pair the runs of two arms; runs of one arm with equal keys are averaged.

    The interval is Student's on the mean log ratio over pairs.
    """
    unmatched, runs = runs, matched_sizes(runs)
    keys = pair_keys(runs)
    log = runs.assign(_log=np.log(runs["loss"].astype(float)))
    wide = log.pivot_table(index=keys, columns="_arm", values="_log", aggfunc="mean")
    wide = wide.reindex(columns=list(arms)).dropna()
    logs: Any = wide.rename(columns={arms[0]: "a", arms[1]: "b"})  # np.exp keeps a table
    table: pd.DataFrame = np.exp(logs).reset_index()
    table["ratio"] = table["b"] / table["a"]
    table = table.rename_axis(columns=None)
    spread = unmatched["N"].astype(float).groupby([runs["N"], runs["D"]])
    both = spread.max() / spread.min() - 1
    apart = float(both[both.index.isin(list(zip(table["N"], table["D"], strict=True)))].max())
    apart = apart if np.isfinite(apart) else 0.0
    difference = (wide[arms[1]] - wide[arms[0]]).to_numpy()
    if len(difference) < 2:
        ratio = float(np.exp(difference.mean())) if len(difference) else np.nan
        return Pairs(table, ratio, np.nan, np.nan, tuple(keys), apart)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    half = stdtrit(len(difference) - 1, (1 + level) / 2) * error
    middle = difference.mean()
    ratio, lower, upper = (float(np.exp(middle + sign * half)) for sign in (0, -1, 1))
    return Pairs(table, ratio, lower, upper, tuple(keys), apart)
