"""The runs of two arms as a ladder: ended runs, the sizes that both arms have, one a rung."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.exclusion import mid_schedule, unfinished
from scalinglab.analysis.tables.numbers import as_floats
from scalinglab.analysis.tables.typed import names_of, records_of
from scalinglab.analysis.tables.validation_sets import refuse_different_sets
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import State

SIZE = "_size"  # number of the rung, the smallest first
ARM = "_arm"
_KEYS = (["N", "D"], ["width", "depth", "D"])  # what the runs of both arms share at a size
_NUMBER = r"([0-9.eE+-]+)"
_TARGET = re.compile(rf"(?:C\s*=\s*)?{_NUMBER}|N\s*=\s*{_NUMBER}[,\s]+D\s*=\s*{_NUMBER}")
SECONDS = "seconds"


def read_scale(target: str | float) -> float:
    """The target's compute in FLOPs: 1e21, "C=1e21" or "N=1e9 D=2e10" (6 N D).

    Raises
    ------
    UserError
        If it is none of these.
    """
    found = _TARGET.fullmatch(str(target).strip())
    try:
        numbers = [float(text) for text in found.groups() if text] if found else []
    except ValueError:
        numbers = []
    C = 6 * numbers[0] * numbers[1] if len(numbers) == 2 else numbers[0] if numbers else np.nan
    if not 0 < C < np.inf:
        raise UserError(
            f"target = {target!r}: say the compute that is meant, in FLOPs, as in target=1e21, or"
            " target='N=1e9 D=2e10'"
        )
    return C


def ladder_runs(data: pd.DataFrame, arm: str, arms: Sequence[str]) -> pd.DataFrame:
    """Runs of both arms that ended or diverged, at the sizes that both have, with `SIZE` and `ARM`.

    Raises
    ------
    UserError
        If a column or an arm is missing, the arms share no size, the sizes are no ladder, or a run
        has not come to its end.
    """
    for column in (arm, "N", "D", "loss", "seed"):
        if column not in data:
            raise UserError(
                f"the table has no column {column!r}; a judge needs {arm}, N, D, seed and loss, and"
                f" has {', '.join(names_of(data))}"
            )
    labels = data[arm].astype(str)
    names = sorted(labels[data[arm].notna()].unique())
    if len(set(arms)) != 2:
        raise UserError(
            f"baseline and candidate are both {arms[0]!r}; name two of {', '.join(names)}"
        )
    for word, name in zip(("baseline", "candidate"), arms, strict=True):
        if name not in names:
            raise UserError(f"{word} = {name!r} has no run; there are {', '.join(names)}")
    runs = as_floats(data).assign(**{ARM: labels})[labels.isin(list(arms))]
    status = runs["status"].astype(str) if "status" in runs else State.DONE.value
    runs = runs.assign(status=status)
    runs = runs[runs["status"].isin([State.DONE, State.DIVERGED])].reset_index(drop=True)
    runs.loc[runs["status"] == State.DIVERGED, "loss"] = np.inf
    runs = runs[runs["loss"].notna() & runs["seed"].notna()].reset_index(drop=True)
    _refuse_early(runs)
    refuse_different_sets(runs)
    if "C" not in runs or runs["C"].isna().any():
        runs["C"] = 6 * runs["N"] * runs["D"]
    return _with_sizes(runs, arms)


def _refuse_early(runs: pd.DataFrame) -> None:
    done = runs[np.isfinite(runs["loss"])]
    early = unfinished(done) | mid_schedule(done, "D")
    if early.any():
        row: dict[str, Any] = done[early].iloc[0].to_dict()
        raise UserError(
            f"{int(early.sum())} of {len(done)} points were taken before their run had come to its"
            f" end (the first is {row.get('run_id', row.get('run', 'unnamed'))}); judge ends"
        )


def _with_sizes(runs: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    for keys in _KEYS:
        if not set(keys) <= set(runs):
            continue
        there = [runs.loc[runs[ARM] == name, keys].drop_duplicates() for name in arms]
        both = there[0].merge(there[1], on=keys)
        if len(both):
            break
    else:
        raise UserError(
            f"{arms[0]} and {arms[1]} have no size in common: pairs need equal N and D, or equal"
            " width, depth and D"
        )
    both = runs.merge(both, on=keys)
    base = both[both[ARM] == arms[0]].groupby(keys, as_index=False)[["N", "D", "C"]].median()
    base = base.loc[:, ~base.columns.duplicated()].sort_values("C", ignore_index=True)
    down = (base[["N", "D"]].diff().iloc[1:] < -1e-9 * base[["N", "D"]].iloc[1:]).any(axis=1)
    if down.any():
        row = records_of(base.iloc[1:][down])[0]
        raise UserError(
            f"the sizes are no ladder: at N {row['N']:.4g}, D {row['D']:.4g} there is more compute than"
            " before and a smaller N or D; select one ladder, as in runs='D > 20e9'"
        )
    return both.merge(base[keys].assign(**{SIZE: np.arange(len(base))}), on=keys)
