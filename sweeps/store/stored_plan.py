"""The stored plan of a study, as launches, workers and ``status`` read it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.plan_file import PlanEntry, StudyConfig, read_plan_file
from scalinglab.scaling.records.planning import being_planned, no_such_study
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.text.shell import has_control_characters

PLAN_VERSION = 1


def outputs_folder(name: str) -> Path:
    """The folder of all runs.

    Raises
    ------
    ConfigError
        If its name would break search paths and job scripts.
    """
    outputs = Path(name).absolute()
    if os.pathsep in str(outputs) or has_control_characters(str(outputs)):
        raise ConfigError(
            f"outputs = {str(outputs)!r} has a {os.pathsep!r} or a line break, at which the search"
            " path of workers and the script of a job would be cut; choose another folder"
        )
    return outputs


def study_folder(outputs: Path, name: str) -> Path:
    """Where the files of a study lie."""
    return outputs / "studies" / name


@dataclass(frozen=True)
class StoredRun(PlanEntry):
    """One run of a stored plan, with its folder.

    Attributes
    ----------
    folder : RunFolder
    """

    folder: RunFolder = field(kw_only=True)

    def spec(self) -> RunSpec:
        """The science of the run."""
        return self.folder.spec()


IMPORTED = "imported.json"  # in the folder of a study whose runs were trained elsewhere


@dataclass(frozen=True)
class StoredPlan:
    """A plan as ``scalinglab.sweeps.plan.save.save_plan`` wrote it.

    `gone` are ids of runs whose folder was removed since. `damaged` maps ids of runs whose
    description or ending cannot be read to the reason. Neither are among `runs`.
    """

    study: StudyConfig
    execution: ExecutionConfig
    runs: list[StoredRun]
    gone: tuple[str, ...] = ()
    damaged: Mapping[str, DamagedFile] = field(default_factory=dict)


def read_plan(outputs: Path, name: str) -> StoredPlan:
    """Read the plan of a study.

    Raises
    ------
    ConfigError
        If there is none.
    DamagedFile
        If it cannot be read; the plan can be made anew.
    """
    path = study_folder(outputs, name) / "plan.json"
    if (path.parent / IMPORTED).exists() and not path.exists():
        raise ConfigError(
            f"study {name!r} was imported: there is nothing to train or to watch; "
            f"scaling fit study={name} and scaling report study={name} read it"
        )
    if not path.exists():
        if sentence := being_planned(path.parent):
            raise ConfigError(sentence)
        names = [p.parent.name for p in (outputs / "studies").glob("*/plan.json")]
        raise ConfigError(no_such_study(outputs, name, names))
    stored = read_plan_file(path)
    if stored.version != PLAN_VERSION:
        raise ConfigError(
            f"{path} has version {stored.version}; this code reads {PLAN_VERSION}: plan again"
        )
    runs = [
        StoredRun(**vars(entry), folder=RunFolder(outputs / "runs" / entry.run_id))
        for entry in stored.runs
    ]
    gone = tuple(r.run_id for r in runs if not r.folder.exists())
    damaged = {
        r.run_id: error
        for r in runs
        if r.run_id not in gone and (error := r.folder.state_damage()) is not None
    }
    for error in damaged.values():
        tell(error, "its run is left out")
    readable = [r for r in runs if r.run_id not in (*gone, *damaged)]
    return StoredPlan(
        stored.study, from_dict(ExecutionConfig, stored.execution), readable, gone, damaged
    )
