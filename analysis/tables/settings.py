"""Settings of runs as columns of their table: ``optimizer.lr``, ``model.width``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.initial_weights import KEY as INIT_FROM
from scalinglab.scaling.records.initial_weights import named_source
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.text.flatten import flatten

_KEY = re.compile(r"[A-Za-z_]\w*(?:\.\w+)+")  # in what a column is made of, `2 * model.width`


def setting(outputs: str | Path, run_id: str, key: str) -> Any:
    """A setting of a run by its dotted key, or the choice of a group; None if it has none.

    Runs that draw their weights have ``init_from`` as "drawn".
    """
    folder = RunFolder(Path(outputs) / "runs" / run_id)
    if not folder.exists():
        return None
    run = folder.settings()
    if key == INIT_FROM:
        return named_source(run.config)
    for settings in (flatten(run.config), flatten(run.science)):
        value = settings.get(key, settings.get(f"{key}.name"))
        if value is not None and not isinstance(value, list):
            return value
    return None


def with_settings(outputs: str | Path, runs: pd.DataFrame, sources: Iterable[Any]) -> pd.DataFrame:
    """The table with the settings that formulas name as columns.

    Parameters
    ----------
    outputs : path
    runs : DataFrame
        With ``run_id``.
    sources : iterable of str
        Formulas of columns and settings. A key that no run has is ignored: whoever evaluates the
        formula refuses it.

    Raises
    ------
    UserError
        If a setting is no number, naming the run.
    """
    keys = dict.fromkeys(key for source in sources for key in _KEY.findall(str(source)))
    for key in keys:
        if key in runs:
            continue
        values = [setting(outputs, run_id, key) for run_id in runs["run_id"]]
        if any(value is not None for value in values):
            runs = runs.assign(**{key: _numbers(key, values, runs["run_id"])})
    return runs


def _numbers(key: str, values: list[Any], run_ids: Iterable[str]) -> list[float]:
    for value, run_id in zip(values, run_ids, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float):
            problem = (
                "has no such setting" if value is None else f"has {value!r}, which is no number"
            )
            raise UserError(f"columns: {key} is a setting, and run {run_id} {problem}")
    return [float(value) for value in values]
