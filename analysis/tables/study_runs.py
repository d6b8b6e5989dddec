"""The runs of a study by their roles, and what to do if none of them has finished."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.imported import MANIFEST, read_manifest
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.extensions import loading
from scalinglab.scaling.records.plan_file import (
    PlanEntry,
    PlanFile,
    read_plan_file,
    read_study_config,
    stored_plans,
)
from scalinglab.scaling.records.planning import being_planned, no_such_study
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import CENSORED, State

LEFT_OUT = "its run is left out"  # of a damaged file
_TRAIN = "scaling launch study={study} trains what is left"
_WAYS_ON = {  # state of a run -> what brings it to a measured end
    State.DIVERGED: "a diverged run has no final loss: a lower optimizer.lr may help",
    State.RUNNING: "scaling status study={study} watch=true shows how far they are",
    State.STOPPED: "scaling forecast study={study} take_up=stopped lets stopped runs be trained",
    State.FAILED: "scaling status study={study} why=true says why they failed",
    State.INTERRUPTED: _TRAIN,
    State.PLANNED: _TRAIN,
}


def study_plan(outputs: str | Path, study: str) -> PlanFile:
    """The stored plan of a study: its question, its options, its runs and their roles.

    Raises
    ------
    UserError
        If there is no such study, or its plan is damaged.
    """
    folder = Path(outputs) / "studies" / study
    if (folder / "plan.json").exists():
        plan = read_plan_file(folder / "plan.json")
        loading.load_again(plan.extend, folder)
        return plan
    path = folder / MANIFEST
    if not path.exists():
        if sentence := being_planned(folder):
            raise UserError(sentence)
        names = [
            p.parent.name
            for name in ("plan.json", MANIFEST)
            for p in Path(outputs).glob(f"studies/*/{name}")
        ]
        raise UserError(no_such_study(Path(outputs), study, names))
    content = read_manifest(path)
    return PlanFile(content["import_version"], read_study_config(content["study"]), {}, ())


def cautions_of_import(outputs: str | Path, study: str) -> list[str]:
    """What the import of a study took as said that its file may not mean; of others nothing."""
    path = Path(outputs) / "studies" / study / MANIFEST
    if not is_imported(outputs, study):
        return []
    cautions = read_manifest(path).get("cautions", [])  # studies imported before have none
    return [f"{text[0].upper()}{text[1:]}" for text in map(str, cautions)]


def is_imported(outputs: str | Path, study: str) -> bool:
    """Whether the runs of a study were made elsewhere, so that it has no file of its own."""
    folder = Path(outputs) / "studies" / study
    return (folder / MANIFEST).exists() and not (folder / "plan.json").exists()


def source_files(outputs: str | Path, study: str) -> list[str]:
    """Names of the files that a study was imported from; empty for one that was trained here."""
    if not is_imported(outputs, study):
        return []
    return list(read_manifest(Path(outputs) / "studies" / study / MANIFEST).get("sources", {}))


def unfinished_runs(outputs: str | Path, study: str) -> Iterator[tuple[PlanEntry, RunSpec]]:
    """The runs of a study that have no end yet, as far as they can be read; with what they are.

    Raises
    ------
    UserError
        As `study_plan`.
    """
    for entry in study_plan(outputs, study).runs:
        folder = RunFolder(Path(outputs) / "runs" / entry.run_id)
        if folder.exists() and folder.state_damage() is None and folder.done() is None:
            yield entry, folder.spec()


def ended_runs(
    outputs: str | Path, study: str | None, mark: str
) -> Iterable[tuple[RunFolder, dict[str, list[str]]]]:
    """Folders of finished and of stopped runs, with study -> roles.

    Raises
    ------
    UserError
        If the folder or the study does not exist.
    """
    outputs = Path(outputs)
    if not outputs.is_dir():
        raise UserError(
            f"there is no folder {outputs}; outputs= names the one that scaling launch wrote"
        )
    if study is not None:
        study_plan(outputs, study)
    roles: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for name, plan in stored_plans(outputs):
        for run in plan.runs:
            roles[run.run_id][name] = list(run.roles)
    for path in sorted(outputs.glob(f"runs/*/{mark}")):
        folder = RunFolder(path.parent)
        if mark == "STOPPED" and folder.state() not in (State.STOPPED, State.DAMAGED):
            continue
        if study is None or study in roles[folder.run_id]:
            yield folder, roles[folder.run_id]


def counts_of_folders(states: Mapping[State, int]) -> str:
    """ "1 interrupted or waiting, 47 waiting or planned": states as their folders say them.

    Whether a run that has not ended waits for another's checkpoint, as ``scaling status`` says, no
    folder tells.
    """
    words = {
        State.PLANNED: f"{State.WAITING} or {State.PLANNED}",
        State.INTERRUPTED: f"{State.INTERRUPTED} or {State.WAITING}",
    }
    return ", ".join(f"{states[s]} {words.get(s, s)}" for s in State if s in states)


def with_role(runs: pd.DataFrame, role: str) -> pd.DataFrame:
    """The runs that have a role, maybe among others."""
    return runs[np.array([role in names.split(",") for names in runs["role"]], dtype=bool)]


def require(
    table: pd.DataFrame,
    outputs: str | Path,
    study: str,
    role: str | None = None,
    *,
    measured: bool = True,
) -> pd.DataFrame:
    """A table of a study's finished runs, or of their curves, if it holds any.

    Parameters
    ----------
    table : DataFrame
        From `load` or `load_curves`.
    outputs, study
        Where the study lies.
    role : str, optional
        Role of the runs in the table, for the message.
    measured : bool
        Whether a run must have finished; otherwise diverged and stopped runs suffice.

    Raises
    ------
    UserError
        If there is none; it says what is missing, the progress of the study, and what to do.
    """
    if len(table) and not (measured and table["status"].isin(CENSORED).all()):
        return table
    finished = "finished run" + (f" with the role {role!r}" if role else "")
    plan = study_plan(outputs, study)
    if not (Path(outputs) / "studies" / study / "plan.json").exists():
        raise UserError(f"study {study!r} was imported without a {finished}: import one that has")
    folders = [
        RunFolder(Path(outputs) / "runs" / run.run_id)
        for run in plan.runs
        if role is None or role in run.roles
    ]
    states = Counter(folder.state() for folder in folders)
    if not states:
        raise UserError(
            f"study {study!r} plans no run with the role {role!r}: scaling add"
            f" study={study} role={role} adds some"
        )
    present = counts_of_folders(states)
    ways = dict.fromkeys(
        _WAYS_ON[state].format(study=study)
        for state in State
        if state in states and state in _WAYS_ON
    )
    raise UserError("; ".join([f"study {study!r} has no {finished}, only {present}", *ways]))
