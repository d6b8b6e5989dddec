"""The arms in a study's records: the arm of each run, and other settings that differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.analysis.arms.pairs import matched_sizes, pair_keys
from scalinglab.analysis.tables.runs import FLOPS, load
from scalinglab.analysis.tables.settings import setting
from scalinglab.analysis.tables.study_runs import require
from scalinglab.analysis.tables.validation_sets import as_loss
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.data_spec import mixture_text
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.schedule.pieces import Piece
from scalinglab.scaling.text.flatten import flatten
from scalinglab.scaling.text.nearest import nearest


def runs_by_arm(
    outputs: str | Path,
    studies: Sequence[str],
    arm: str | None,
    *,
    n_count: str = "n_matmul",
    loss: str | None = None,
) -> pd.DataFrame:
    """Runs of one study by the value of a setting, or of two studies, with the column ``arm``.

    Parameters
    ----------
    outputs : path
    studies : list of str
        One, with `arm`; or two, each an arm.
    arm : str, optional
        A key of the configuration (``optimizer.name``), or a column of an imported study.
    n_count, loss
        As in `analysis.load`.

    Raises
    ------
    UserError
        If a study does not exist, or no run has the key.
    """
    if (arm is None) != (len(studies) == 2):
        raise UserError("arms are one study with arm=KEY, or two studies without")
    tables = [load(outputs, study=name, n_count=n_count, flops=FLOPS) for name in studies]
    for table, name in zip(tables, studies, strict=True):
        require(table, outputs, name, measured=False)
    if arm is None:
        tables = [t.assign(arm=name) for t, name in zip(tables, studies, strict=True)]
        return as_loss(pd.concat(tables, ignore_index=True), loss)
    table = as_loss(tables[0], loss).assign(arm=arm_values(outputs, tables[0], arm))
    if table["arm"].isna().all():
        names = {*tables[0], *_keys_of(outputs, tables[0])}
        if arm in names:
            column = arm.rpartition(".")[2]
            hint = f"; arm={column} says it in words" if column in tables[0] else ""
            raise UserError(f"arm = {arm!r} has no single value in any run{hint}")
        raise UserError(
            f"arm = {arm!r}: no run of study {studies[0]!r} has such a setting{nearest(arm, names)}"
        )
    return table[table["arm"].notna()].reset_index(drop=True)


def _keys_of(outputs: str | Path, runs: pd.DataFrame) -> set[str]:
    """The keys of the configurations of runs."""
    folders = (RunFolder(Path(outputs) / "runs" / run_id) for run_id in runs["run_id"])
    return {
        key for folder in folders if folder.exists() for key in flatten(folder.settings().config)
    }


def arm_values(outputs: str | Path, runs: pd.DataFrame, arm: str) -> pd.Series:
    """A column of a table of runs, or a setting of each by its dotted key; None where it has none.

    Parameters
    ----------
    outputs : path
    runs : DataFrame
        With ``run_id``.
    arm : str
    """
    if arm in runs:
        return runs[arm]
    values = [setting(outputs, run_id, arm) for run_id in runs["run_id"]]
    return pd.Series([None if v is None else str(v) for v in values], runs.index, object)


def arm_settings(
    outputs: str | Path, runs: pd.DataFrame, arms: Sequence[str], intended: str | None
) -> pd.DataFrame:
    """Settings in which paired runs of two arms differ.

    Parameters
    ----------
    outputs : path
    runs : DataFrame
        With ``run_id, N, D, seed, arm`` and ``schedule``, ``batch`` where they are known.
    arms : (str, str)
    intended : str or None
        The key that is meant to differ; others of its group belong to it (``optimizer.beta2`` to
        ``optimizer.name``).

    Returns
    -------
    DataFrame
        ``key, a, b, intended``: each key with the values of the first pair in which they differ.
    """
    runs = runs.assign(_arm=runs["arm"].astype(str))
    runs = matched_sizes(runs[runs["_arm"].isin(arms)])
    keys = pair_keys(runs)
    sides = [runs[runs["_arm"] == name].drop_duplicates(keys) for name in arms]
    both = sides[0].merge(sides[1], on=keys, suffixes=("_a", "_b"))
    differing: dict[str, tuple[Any, Any]] = {}
    for pair in both.to_dict("records"):
        settings_a, settings_b = (_settings(outputs, pair[f"run_id_{s}"]) for s in "ab")
        for key in sorted(settings_a | settings_b):
            if settings_a.get(key) != settings_b.get(key):
                differing.setdefault(key, (settings_a.get(key), settings_b.get(key)))
    meant = _meant(intended, differing)
    rows = [(key, a, b, _belongs(key, meant)) for key, (a, b) in differing.items()]
    return pd.DataFrame(rows, columns=["key", "a", "b", "intended"])


def _settings(outputs: str | Path, run_id: str) -> dict[str, Any]:
    folder = RunFolder(Path(outputs) / "runs" / run_id)
    if not folder.exists():
        return {}
    run = folder.settings()
    settings = {**run.science, "schedule": _pieces_text(run.pieces)}
    if run.data.mixture:
        settings["data"] = {**run.science["data"], "mixture": _shares_text(run.data.mixture)}
    return flatten(settings)


def _pieces_text(pieces: Sequence[Piece]) -> str:
    return ", ".join(f"{p.shape} {p.steps} steps {p.start:.4g} to {p.end:.4g}" for p in pieces)


def _shares_text(mixture: Mapping[str, Sequence[Piece]]) -> str:
    """The shares of the pools, "web 0.7, code 0.3"; of those that change in steps, each piece."""
    if any(len(pieces) > 1 for pieces in mixture.values()):
        return "; ".join(f"{pool}: {_pieces_text(pieces)}" for pool, pieces in mixture.items())
    return mixture_text(mixture)


def _meant(arm: str | None, differing: Iterable[str]) -> str | None:
    """The differing key that an arm names: ``experts`` is the end of one, or of its group's."""
    if arm is None or "." in arm:
        return arm
    named = next((key for key in differing if key.rpartition(".")[2] == arm), arm)
    chooser = f"{named.rpartition('.')[0]}.name"
    return chooser if chooser in differing else named


def _belongs(key: str, intended: str | None) -> bool:
    """Whether a difference belongs to the intended one."""
    if intended is None:
        return False
    group = intended.rpartition(".")[0]
    chooses = intended.rpartition(".")[2] in ("name", "kind")
    of_group = chooses and group and key.startswith(f"{group}.")
    belonging = {("seed", "data.seed"), ("optimizer.lr", "schedule")}
    return (
        key == intended
        or of_group
        or key.startswith(f"{intended}.")
        or (intended, key) in belonging
        or (intended.startswith("schedule") and key == "schedule")
    )
