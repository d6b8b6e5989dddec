"""Rows that a fit leaves out, counted by rule.

Runs that diverged, or that early stopping ended, are always left out: their last loss is only a
bound. The rest is the user's choice, as rules by name or as conditions on the columns
(``"D < 1e9"``, `scalinglab.scaling.text.conditions`). Each row counts for the first rule it meets.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.bounds import only_bounded
from scalinglab.analysis.tables.condition import columns_of, rows_that_meet
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import CENSORED, State
from scalinglab.scaling.text.conditions import ConditionError

Array = np.ndarray

# Status -> the rule by which its rows are always left out.
CENSORING = {str(state): f"{state} (censored)" for state in CENSORED}
RULES = {
    "unmeasured": "the response, or another column that the law reads, is missing",
    "unfinished": "the run had not come to its end: its status or its last step says so",
    "mid_schedule": "the learning rate had not come down: an earlier point of a run with another",
    "bounded": "of the response only a bound is known (`scalinglab.analysis.tables.bounds`)",
}
_DONE = (State.DONE, *CENSORED, "finished", "completed", "complete", "success")
# As `exclude_advice` writes it, behind the words of a fit that knows no command.
_TEXT = r'"(?:[^"\\]|\\.)*"'
_ADVICE = re.compile(
    rf"in the command, exclude=(\[{_TEXT}(?:,{_TEXT})*\])(?: \(in a shell: .*?\]'\))?"
)
_NONE: Mapping[str, str] = {}
_LENGTHS = ("D", "tokens", "C", "flops")  # columns that grow along one run


def exclude_rows(
    frame: pd.DataFrame,
    rules: Sequence[str],
    *,
    response: str,
    needed: Sequence[str],
    length: str | None,
    names: Mapping[str, str] = _NONE,
    sparse: bool = False,
) -> tuple[Array, dict[str, int]]:
    """Which rows are left out, and how many by each rule.

    Of the rules that leave out none, only conditions that no row meets are counted, as 0: they may
    be mistyped, see `unmet_in_words`.

    Parameters
    ----------
    frame : DataFrame
    rules : list of str
        Names of `RULES`, or conditions on columns: rows that meet one are left out.
    response, length : str
        Columns of the measured response, and of the tokens or FLOPs that grow along a run.
    needed : list of str
        Columns that a measured row must have.
    names : mapping of str to str
        The law's name of a column -> the column; a condition may use either.
    sparse : bool
        Most rows have no response (steps of a curve): only those that have one count.

    Raises
    ------
    UserError
        If every run diverged, a rule is no name and no condition on the columns, or nothing is
        left.
    """
    if isinstance(rules, str):
        raise UserError(f"exclude={rules!r} must be a list of rules, such as [{rules!r}]")
    for rule in rules:
        if not isinstance(rule, str):
            raise UserError(
                f"exclude: {rule!r} is no text: a rule is a name or a condition, as in"
                " exclude=['unmeasured','D < 1e9']"
            )
    left_out, counts = np.zeros(len(frame), bool), {}
    for rule in (*CENSORING.values(), *rules):
        met = _meets(frame, rule, needed, length, names)
        excluded = met & ~left_out
        if rule in CENSORING.values() and excluded.all():
            status = rule.partition(" ")[0]
            raise UserError(f"every row has status {status!r}: nothing is left to fit")
        count = int((excluded & frame[response].notna()).sum() if sparse else excluded.sum())
        is_condition = rule not in CENSORING.values() and rule not in RULES
        if count or (is_condition and not met.any()):
            counts[rule] = count
        left_out |= excluded
    if left_out.all():
        raise UserError(f"exclude={list(rules)!r} leaves none of {len(frame)} rows")
    return left_out, counts


def unmet_in_words(counts: Mapping[str, int], rows: int) -> list[str]:
    """A sentence for each condition that none of so many runs met; `counts` as `exclude_rows`."""
    return [
        f"{exclude_rule(rule)} meets none of {rows} runs, so it leaves out nothing: check its"
        " column and its value"
        for rule, count in counts.items()
        if not count
    ]


def exclude_rule(*conditions: str) -> str:
    """The ``exclude=`` of some conditions, as Python reads it and a shell reads it as one word."""
    return f"exclude=[{','.join(json.dumps(condition) for condition in conditions)}]"


def exclude_advice(*conditions: str) -> str:
    """The ``exclude=`` of some conditions to be pasted, and in a shell if that reads it otherwise.

    Conditions that need no comma stay readable in both: a row more is an element more.
    """
    rule = exclude_rule(*conditions)
    return rule if is_plain(*conditions) else f"{rule} (in a shell: {shlex.quote(rule)})"


def exclude_word(*conditions: str) -> str:
    """The ``exclude=`` of some conditions as one word of a command, quoted for every shell.

    >>> print(exclude_word("C < 1e9"), exclude_word("run == 'a'"))
    'exclude=["C < 1e9"]' "exclude=[run == 'a']"
    """
    rule = exclude_rule(*conditions)
    if "'" in rule and is_plain(*conditions):  # easier to read than quotes in quotes
        return f'"exclude=[{",".join(conditions)}]"'
    return shlex.quote(rule)


def with_command(sentence: str, command: str, *before: str) -> str:
    """A sentence whose advice "in the command, exclude=[...]" is one whole line to copy.

    Parameters
    ----------
    sentence : str
    command : str
        What the line begins with: ``scaling report study=mine``.
    *before : str
        Conditions that the command had already.
    """

    def line(found: re.Match[str]) -> str:
        conditions = [*before, *json.loads(found[1])]
        return f"{command} {exclude_word(*conditions)}"

    return _ADVICE.sub(line, sentence)


def is_plain(*conditions: str) -> bool:
    """Whether a shell, and the list of a command, read conditions as Python does."""
    return not any(set(condition) & set('"\\$`,') for condition in conditions)


def unfinished(frame: pd.DataFrame) -> Array:
    """Rows of runs that the table marks as unfinished."""
    rows = np.zeros(len(frame), bool)
    if "status" in frame:
        status = frame["status"]
        rows |= (status.notna() & ~status.astype(str).str.lower().isin(_DONE)).to_numpy()
    if {"step", "steps"} <= set(frame) and "run" not in frame:
        rows |= (frame["step"] < frame["steps"]).to_numpy()
    return rows


def mid_schedule(frame: pd.DataFrame, length: str | None) -> Array:
    """All but the last point of each run whose learning rate falls with the run's own length."""
    rows = np.zeros(len(frame), bool)
    run = next((c for c in ("run_id", "run") if c in frame), None)
    if run is None or "schedule" not in frame or length not in _LENGTHS:
        return rows
    falling = (frame["schedule"].astype(str).str.lower() != "constant").to_numpy()
    last = frame.groupby(run)[length].transform("max")
    return falling & (frame[length] < last).to_numpy()


def _meets(
    frame: pd.DataFrame,
    rule: str,
    needed: Sequence[str],
    length: str | None,
    names: Mapping[str, str],
) -> Array:
    if rule in CENSORING.values():
        if "status" not in frame:
            return np.zeros(len(frame), bool)
        return (frame["status"].astype(str).map(CENSORING) == rule).to_numpy()
    if rule == "unmeasured":
        return frame[list(needed)].isna().any(axis=1).to_numpy()
    if rule == "bounded":
        return only_bounded(frame)
    if rule == "unfinished":
        return unfinished(frame)
    if rule == "mid_schedule":
        return mid_schedule(frame, length)
    return _condition(frame, rule, names)


def _condition(frame: pd.DataFrame, rule: str, names: Mapping[str, str]) -> Array:
    try:
        return rows_that_meet(frame, rule, names)
    except ConditionError as error:
        raise UserError(
            f"exclude: {rule!r} is not one of {', '.join(RULES)}, nor a condition on the columns"
            f" {columns_of(frame)}: {error.reason}"
        ) from None
