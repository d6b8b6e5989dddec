"""Runs in folders that wandb wrote, offline or online, read without a network.

wandb's own tool prints their records, so that its file format need not be known here.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.training.child import python_command, user_environment
from scalinglab.wandb_study import is_study

_READ = ("wandb", "leet", "inspect", "--json")


@dataclass
class FolderRun:
    """One run, for `analysis.read_wandb`.

    Attributes
    ----------
    id, name : str
    job_type : str
        "study" for the results of a study, which are not a run.
    state : str
        "finished" or "failed"; "crashed" if the run did not record its end.
    tags : list of str
    config, summary : dict
    rows : list of dict
        The history, a row a step.
    """

    id: str
    name: str = ""
    job_type: str = ""
    state: str = "crashed"
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def scan_history(self) -> list[dict[str, Any]]:
        """Every row that was logged."""
        return self.rows


def wandb_parts(folder: Path) -> list[Path]:
    """The folders of runs in a folder, in the order of time; or the folder itself, if it is one."""
    for base in (folder, folder / "wandb"):
        if parts := [p for p in base.glob("*run-*") if any(p.glob("run-*.wandb"))]:
            return sorted(parts, key=lambda p: (p.name.split("run-", 1)[1], p.name))
    return [folder] if any(folder.glob("run-*.wandb")) else []


def folder_runs(
    folder: Path, *, tags: Sequence[str] = (), state: Sequence[str] = ()
) -> list[FolderRun]:
    """Runs of a folder that wandb wrote; parts of one run are joined.

    Raises
    ------
    UserError
        If no run of wandb lies there, or one cannot be read.
    ModuleNotFoundError
        If wandb is not installed.
    """
    if find_spec("wandb") is None:
        raise ModuleNotFoundError("wandb is not installed", name="wandb")
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    parts = wandb_parts(folder)
    if not parts:
        raise UserError(
            f"{folder} holds no runs of wandb: folders called offline-run-... or run-..."
        )
    runs: dict[str, FolderRun] = {}
    for part in parts:
        _add_part(part, runs)
    return [
        run
        for run in runs.values()
        if not is_study(run.job_type, run.id)
        and (not tags or set(tags) & set(run.tags))
        and (not state or run.state in state)
    ]


def _add_part(part: Path, runs: dict[str, FolderRun]) -> None:
    """Add the records of one folder to its run."""
    run: FolderRun | None = None
    for record in _records(part):
        kind = record.get("type")
        content = record.get(kind, {}) if kind else {}
        if kind == "run":
            run = runs.setdefault(content["run_id"], FolderRun(content["run_id"]))
            run.name = content.get("display_name") or run.name or run.id
            run.job_type = content.get("job_type", run.job_type)
            run.tags, run.state = content.get("tags", run.tags), "crashed"
            _update(run.config, content.get("config", {}))
        elif run is None:
            continue
        elif kind == "history":
            run.rows.append(content["item"])
        elif kind in ("config", "summary"):
            _update(run.config if kind == "config" else run.summary, content)
        elif kind == "exit":
            run.state = "failed" if content.get("exit_code") else "finished"


def _update(values: dict[str, Any], change: Mapping[str, Any]) -> None:
    values |= {k: v for k, v in change.get("update", {}).items() if not k.startswith("_wandb")}
    for key in change.get("remove", ()):
        values.pop(key, None)


def _records(part: Path) -> Iterator[dict[str, Any]]:
    """The records of one folder, as wandb's tool prints them."""
    process = subprocess.run(
        python_command(*_READ, str(part)),
        env=user_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        last_line = (process.stderr or process.stdout).strip().splitlines()[-1:] or ["no message"]
        raise UserError(f"{part} cannot be read by wandb's own tool: {last_line[0]}")
    for line in process.stdout.splitlines():
        yield json.loads(line)
