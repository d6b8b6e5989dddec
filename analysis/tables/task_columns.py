"""Columns of a task that probes have measured, and the command that measures missing ones."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from scalinglab.analysis.tables.bounds import AT_LEAST
from scalinglab.analysis.tables.typed import names_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.probe import TASK
from scalinglab.scaling.tasks.synthetic import TASKS
from scalinglab.scaling.text.nearest import nearest


def probe_command(task: str, study: str = "NAME", probe: str = "tasks", more: str = "") -> str:
    """The command that measures a task: ``addition_3``, or the name of a file of items."""
    name, _, difficulty = task.rpartition("_")
    if name in TASKS and difficulty.isdigit():
        options = f"options.task={name} options.difficulty={difficulty}"
    else:
        options = f"options.file={task}.jsonl"
    return f"scaling probe study={study} probe={probe} {options}{more}"


def task_column(runs: pd.DataFrame, task: str, number: str, command: str) -> str:
    """The column of a number of a task.

    Parameters
    ----------
    runs : DataFrame
        From `analysis.load`.
    task : str
        ``addition_3``: a synthetic task with its difficulty, or the name of a file of items.
    number : str
        ``accuracy``, or with the options of the probe ``cap_10000.pass_neg_log``. Without options
        there must be only one column that ends so.
    command : str
        The command that measures it, for the message.

    Raises
    ------
    UserError
        If there is no such column, naming the command that measures it, or several.
    """
    plain = f"{TASK}{task}.{number}"
    columns = [plain] if _is_there(runs, plain) else _with_options(runs, task, number)
    if len(columns) == 1:
        return columns[0]
    if columns:
        raise UserError(
            f"task {task!r}: {', '.join(columns)} are measured; name one by its options, as in"
            f" {columns[0].removeprefix(f'{TASK}{task}.')!r}"
        )
    raise UserError(f"no run has the column {plain!r}{_others(runs, task)}; {command} measures it")


def _with_options(runs: pd.DataFrame, task: str, number: str) -> list[str]:
    begin, end = f"{TASK}{task}.", f".{number}"
    names = [name.removesuffix(AT_LEAST) for name in names_of(runs)]
    return [n for n in dict.fromkeys(names) if n.startswith(begin) and n.endswith(end)]


def _is_there(runs: pd.DataFrame, column: str) -> bool:
    return any(name in runs and runs[name].notna().any() for name in (column, column + AT_LEAST))


def _others(runs: pd.DataFrame, task: str) -> str:
    """The tasks that were measured, for a message about one that was not."""
    tasks: Sequence[str] = sorted(
        {name.split(".")[1] for name in names_of(runs) if name.startswith(TASK)}
    )
    if not tasks or task in tasks:
        return ""
    return nearest(task, tasks, "measured are the tasks")


def task_points(
    table: pd.DataFrame,
    task: str,
    loss: str = "bpb",
    accuracy: str = "accuracy",
    *,
    study: str = "NAME",
) -> pd.DataFrame:
    """The rows of runs or of curves at which a task was measured, with ``task_loss, accuracy``.

    Parameters
    ----------
    table : DataFrame
        From `analysis.load` or `analysis.load_curves`.
    task, loss, accuracy : str
        The task, and which of its numbers are its loss and its accuracy; as in `task_column`.
    study : str
        For the message.

    Raises
    ------
    UserError
        As `task_column`.
    """
    numbers = {"task_loss": loss, "accuracy": accuracy}
    command = probe_command(task, study)
    measured = {name: table[task_column(table, task, n, command)] for name, n in numbers.items()}
    return table.assign(**measured).dropna(subset=list(numbers)).reset_index(drop=True)
