"""The runs of two arms as a ladder: ended runs, the sizes that both arms have, one a rung."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.condition import rows_that_meet
from scalinglab.analysis.tables.exclusion import exclude_advice, mid_schedule, unfinished
from scalinglab.analysis.tables.numbers import as_floats, booleans_in
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import names_of, records_of
from scalinglab.analysis.tables.validation_sets import refuse_different_sets
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.conditions import ConditionError
from scalinglab.scaling.text.nearest import nearest

SIZE = "_size"  # number of the rung, the smallest first
ARM = "_arm"
SECONDS = "seconds"
_KEYS = (["N", "D"], ["width", "depth", "D"])  # what the runs of both arms share at a size


def ladder_runs(
    data: pd.DataFrame, arm: str, arms: Sequence[str], exclude: Sequence[str] = ()
) -> tuple[pd.DataFrame, list[str]]:
    """Runs of both arms that ended or diverged, at the sizes that both have, with `SIZE` and `ARM`.

    Returns
    -------
    runs : DataFrame
        The loss of a run that diverged is infinite.
    warnings : list of str

    Raises
    ------
    UserError
        If a column or an arm is missing, the arms share no size, the sizes are no ladder, or a
        point was taken in the middle of a schedule.
    """
    for column in (arm, "N", "D", "loss", "seed"):
        if column not in data:
            raise UserError(
                f"the table has no column {column!r}; a judge needs {arm}, N, D, seed and loss, and"
                f" has {', '.join(names_of(data))}"
            )
    labels = data[arm].astype(str)
    names = sorted(labels[data[arm].notna()].unique())
    for word, name in zip(("baseline", "candidate"), arms, strict=True):
        if name not in names:
            raise UserError(f"{word} = {name!r} has no run{nearest(name, names)}")
    if "fresh" in data:
        data = data.assign(fresh=booleans_in(data, "fresh"))
    runs = as_floats(data).assign(**{ARM: labels})[labels.isin(list(arms))]
    runs = _without(runs.reset_index(drop=True), exclude)
    if "status" in runs:
        status = runs["status"].astype(str)
        runs.loc[status == State.DIVERGED, "loss"] = np.inf
        runs = runs[status != State.STOPPED]
        warnings = _of_stopped(int((status == State.STOPPED).sum()))
    else:
        warnings = []
    runs = runs[~unfinished(runs) & runs["loss"].notna() & runs["seed"].notna()]
    runs = runs.reset_index(drop=True)
    _refuse_early(runs)
    refuse_different_sets(runs)
    if "C" not in runs or runs["C"].isna().any():
        runs["C"] = 6 * runs["N"] * runs["D"]
    return _with_sizes(runs, arms), warnings


def _without(runs: pd.DataFrame, exclude: Sequence[str]) -> pd.DataFrame:
    for condition in exclude:
        try:
            runs = runs[~rows_that_meet(runs, condition)].reset_index(drop=True)
        except ConditionError as error:
            raise UserError(f"exclude: {error}") from error
        if runs.empty:
            raise UserError(f"exclude: after {condition!r} no run of either arm is left")
    return runs


def _of_stopped(count: int) -> list[str]:
    if not count:
        return []
    return [f"{count} runs were stopped before their end, because their loss was bad: take them up"]


def _refuse_early(runs: pd.DataFrame) -> None:
    early = mid_schedule(runs, "D")
    if early.any():
        row = records_of(runs[early])[0]
        raise UserError(
            f"{int(early.sum())} of {len(runs)} points were taken before their run had come to its"
            f" end (the first is {row.get('run_id', row.get('run', 'unnamed'))}); judge ends"
        )


def _with_sizes(runs: pd.DataFrame, arms: Sequence[str]) -> pd.DataFrame:
    for keys in _KEYS:
        if not set(keys) <= set(runs):
            continue
        cells_of_arms = [runs.loc[runs[ARM] == name, keys].drop_duplicates() for name in arms]
        both = cells_of_arms[0].merge(cells_of_arms[1], on=keys)
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
            f"the sizes are no ladder: at N {short(row['N'])}, D {short(row['D'])} there is more"
            " compute than before and a smaller N or D; select one ladder, as in "
            f"{exclude_advice('D < 20e9')}"
        )
    return both.merge(base[keys].assign(**{SIZE: np.arange(len(base))}), on=keys)
