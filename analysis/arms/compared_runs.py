"""The runs of two arms that are compared: ended, measured, each arm at its best trial."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.bounds import SIDE, only_bounded, with_bounds
from scalinglab.analysis.tables.exclusion import (
    exclude_rows,
    mid_schedule,
    unfinished,
    unmet_in_words,
)
from scalinglab.analysis.tables.numbers import as_floats
from scalinglab.analysis.tables.trials import trials_chosen
from scalinglab.analysis.tables.typed import names_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import CENSORED
from scalinglab.scaling.text.nearest import nearest


def runs_of_arms(
    data: pd.DataFrame, arm: str, between: Sequence[str] | None
) -> tuple[pd.DataFrame, tuple[str, str]]:
    """The runs of two arms, with the arm as ``_arm``, and the arms, the baseline first.

    Raises
    ------
    UserError
        If there is no such column, or there are not two arms.
    """
    if arm not in data:
        raise UserError(
            f"arm = {arm!r}: the table has no such column{nearest(arm, names_of(data), 'it has')}"
        )
    labels = data[arm].astype(str)
    names = sorted(labels[data[arm].notna()].unique())
    chosen = names if between is None else [str(name) for name in between]
    if len(chosen) != 2 or chosen[0] == chosen[1]:
        raise UserError(
            f"{len(names)} arm{'s' * (len(names) != 1)} ({', '.join(names[:8])}): two are compared;"
            " say between=[BASELINE,OTHER]"
        )
    for name in chosen:
        if name not in names:
            raise UserError(f"between: arm {name!r} has no run{nearest(name, names)}")
    runs = as_floats(data).assign(_arm=labels)[labels.isin(chosen)].reset_index(drop=True)
    return runs.drop(columns="arm", errors="ignore"), (chosen[0], chosen[1])


def without_excluded(
    runs: pd.DataFrame, rules: Sequence[str], loss: str
) -> tuple[pd.DataFrame, list[str]]:
    """The runs that no rule leaves out, and a sentence for each rule that left out some.

    Raises
    ------
    UserError
        If a rule is none, or of a run that is not left out only a bound is known.
    """
    runs = with_bounds(runs, "loss")
    kept: np.ndarray = np.ones(len(runs), bool)
    sentences: list[str] = []
    if rules:
        needed = [name for name in ("N", "D", "loss") if name in runs]
        left_out, counts = exclude_rows(runs, rules, response="loss", needed=needed, length="D")
        kept = ~left_out | _is_censored(runs).to_numpy()
        sentences = [
            f"{count} runs are left out by exclude=[{rule}]"
            for rule, count in counts.items()
            if rule in rules and count
        ]
        sentences += unmet_in_words(counts, len(runs))
    runs = runs[kept].reset_index(drop=True)
    bounded = only_bounded(runs) & ~_is_censored(runs).to_numpy()
    if bounded.any():
        of_arm = runs["_arm"][bounded].value_counts()
        raise UserError(
            f"of {' and '.join(f'{n} runs of {arm}' for arm, n in of_arm.items())} only a bound of"
            f" the compared {loss} is known, and pairs compare values: exclude=[bounded] leaves"
            " these runs out; probe=tasks gives pass rates without sampling, so without bounds"
        )
    return runs.drop(columns=SIDE), sentences


def compared_runs(
    runs: pd.DataFrame, arms: tuple[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, int]]:
    """Ended runs, those that are compared, and how many of each arm diverged or were stopped.

    Raises
    ------
    UserError
        If a point was taken in the middle of a schedule.
    """
    lost = _is_censored(runs)
    ended = runs[~lost & runs["loss"].notna()]
    _refuse_points_on_the_way(ended)
    tried = runs.assign(loss=runs["loss"].where(~lost, np.inf))[lost | runs["loss"].notna()]
    best = trials_chosen(tried, "_arm").index
    compared = ended.loc[ended.index.isin(best)].reset_index(drop=True)
    return ended.reset_index(drop=True), compared, count_by_arm(runs["_arm"][lost], arms)


def count_by_arm(labels: pd.Series, arms: Sequence[str]) -> dict[str, int]:
    """How many of the labels each arm has."""
    return {arm: int((labels == arm).sum()) for arm in arms}


def _is_censored(runs: pd.DataFrame) -> pd.Series:
    if "status" not in runs:
        return pd.Series(False, runs.index)
    return runs["status"].astype(str).isin(CENSORED)


def _refuse_points_on_the_way(runs: pd.DataFrame) -> None:
    early = unfinished(runs) | mid_schedule(runs, "D")
    if early.any():
        row = runs[early].iloc[0]
        name = row.get("run_id", row.get("run", f"row {runs.index[early][0]}"))
        raise UserError(
            f"{int(early.sum())} of {len(runs)} points were taken before their run had come to its"
            f" end (the first is {name}): with the learning rate on its way down, a loss says where"
            " on the way it was taken; compare ends"
        )
