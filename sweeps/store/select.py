"""Choose runs of a study by a few words.

    failed                                 a state
    gpu_oom                                a class of failure
    k3v9                                   the beginning of a run's id
    model.width >= 64 and seed == 1        an expression of the run's configuration
    state == 'interrupted' or N > 1e6      an expression of what status shows of it

Expressions are conditions on rows of a table (`scalinglab.scaling.text.conditions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.stated import size
from scalinglab.scaling.records.failures import FailureClass
from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.conditions import Condition, ConditionError, parse
from scalinglab.sweeps.config import is_word
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import StoredRun


def select(runs: Iterable[StoredRun], text: str, key: str = "runs") -> list[StoredRun]:
    """The runs that a selection names, in their order.

    Parameters
    ----------
    runs : iterable of StoredRun
    text : str
    key : str
        Configuration key of the selection, for messages.

    Raises
    ------
    ConfigError
        If it cannot be read, names a key that no run has, or chooses no run.
    """
    runs = list(runs)
    try:
        word = text.strip()
        chosen = _by_word(runs, word) if is_word(word) else _by_expression(runs, text)
    except ConditionError as error:
        raise ConfigError(f"{key} = {error}") from None
    if not chosen:
        raise ConfigError(
            f"{key} = {text!r} chooses none of the {len(runs)} runs; allowed are a state "
            f"({', '.join(State)}), a class of failure ({', '.join(FailureClass)}), the beginning "
            "of a run's id, or an expression such as 'model.width >= 64 and seed == 1'"
        )
    return chosen


def _by_word(runs: list[StoredRun], word: str) -> list[StoredRun]:
    if word in tuple(State):
        current = states(runs)
        return [r for r in runs if current[r.run_id] == word]
    if word in tuple(FailureClass):
        return [r for r in runs if _failure(r) == word]
    return [r for r in runs if r.run_id.startswith(word)]


def _by_expression(runs: list[StoredRun], text: str) -> list[StoredRun]:
    condition = parse(text)
    current = states(runs)
    rows = [facts(run, current[run.run_id]) for run in runs]
    chosen = that_meet(rows, condition)
    return [run for run, meets in zip(runs, chosen, strict=True) if meets]


def that_meet(rows: Sequence[Mapping[str, Any]], condition: Condition) -> list[bool]:
    """For each of some runs, by its facts, whether it meets a condition.

    Raises
    ------
    ConfigError
        If the condition names a key that no run has.
    """
    columns = dict.fromkeys(name for row in rows for name in row)
    used_columns = {name: [row.get(name) for row in rows] for name in condition.used(columns)}
    return [bool(meets) for meets in condition.holds(columns | used_columns, len(rows))]


def facts(run: StoredRun, state: State) -> dict[str, Any]:
    """Names in conditions: keys of the configuration (``model.width``), columns of status."""
    spec = run.spec()
    return {
        **spec.settings(),
        "run_id": run.run_id,
        "state": state,
        "failure": _failure(run),
        "role": ",".join(run.roles),
        "N": size(spec.counts),
        "D": spec.tokens,
        "lr": spec.lr_peak,
        "steps": spec.steps,
    }


def _failure(run: StoredRun) -> FailureClass | None:
    attempt = run.folder.latest_attempt()
    return None if attempt is None or run.folder.done() is not None else attempt.failure
