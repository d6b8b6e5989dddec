"""Scores of lm-evaluation-harness joined to the runs of a study whose exported models it scored."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.analysis.importers.formats.harness import (
    NAMES,
    HarnessResults,
    harness_results,
    is_results,
)
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.probes.folder import FOLDER, ProbeFolder, Wanted
from scalinglab.scaling.records.atomic import files_below
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.text.nearest import nearest
from scalinglab.sweeps.store.stored_plan import StoredPlan, StoredRun

PROBE = "harness"  # beside a run its scores lie as what a probe of this name found
_EXPORTED = re.compile(r"(\w+)-(\d+)-\w+")  # RUN-STEP-FORM, as `scaling export` names a folder


@dataclass(frozen=True)
class JoinedScores:
    """The scores of one model, and the run that they are of now.

    Attributes
    ----------
    file : Path
    run_id : str
    step : int
    columns : sequence of str
        Their names in tables.
    notes : sequence of str
    new : bool
        Whether they were stored now; else they were there.
    """

    file: Path
    run_id: str
    step: int
    columns: Sequence[str]
    notes: Sequence[str]
    new: bool


def join_scores(sources: Sequence[str], plan: StoredPlan) -> list[JoinedScores]:
    """Store the scores of result files beside the runs of a study.

    Raises
    ------
    ConfigError
        If a file is no result file, or its model is none of the study's; nothing is stored by then.
    """
    files = [file for source in sources for file in _files(Path(source).expanduser())]
    found = [(file, _read(file)) for file in files]
    by_id = {run.run_id: run for run in plan.runs}
    places = [(file, results, *_place(file, results, by_id, plan)) for file, results in found]
    return [_stored(*place) for place in places]


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder")
    if path.is_file():
        return [path]
    files = sorted(file for file in files_below(path) if file.match(NAMES))
    if not files:
        raise ConfigError(f"{path} holds no {NAMES} of lm-evaluation-harness")
    return files


def _read(file: Path) -> HarnessResults:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is no JSON ({error})") from None
    if not is_results(document):
        raise ConfigError(
            f"{file} is no result file of lm-evaluation-harness (results, configs, config); with "
            "study=NAME those are joined to its runs, to=NAME imports others"
        )
    return harness_results(document, str(file))


def _place(
    file: Path, results: HarnessResults, by_id: dict[str, StoredRun], plan: StoredPlan
) -> tuple[StoredRun, int]:
    """The run, and the step of its checkpoint, that was scored."""
    run_id, step = _told_beside(Path(results.model)) or _told_by_name(results.name)
    run = by_id.get(run_id)
    if run is None:
        raise ConfigError(
            f"{file}: the model {results.model!r} is no run of study {plan.study.name!r}"
            f"{nearest(run_id, by_id)}; names are those of folders that scaling export wrote"
            " (RUN-STEP-FORM), or ids of runs"
        )
    last = run.spec().steps
    step = last if step is None else step
    if not 0 <= step <= last:
        raise ConfigError(f"{file}: step {step}: run {run_id} has {last} steps")
    return run, step


def _told_beside(model: Path) -> tuple[str, int] | None:
    """What an exported folder says of itself, where it is still there."""
    try:
        told = json.loads((model / "scaling_run.json").read_text(encoding="utf-8"))
        return str(told["run_id"]), int(told["step"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _told_by_name(name: str) -> tuple[str, int | None]:
    parts = _EXPORTED.fullmatch(name)
    return (name, None) if parts is None else (parts[1], int(parts[2]))


def _stored(file: Path, results: HarnessResults, run: StoredRun, step: int) -> JoinedScores:
    content: dict[str, Any] = {
        "probe": PROBE,
        "options": dict(results.settings),
        "step": step,
        "columns": dict(results.columns),
        "reads": [[run.run_id, step]],
        "model": results.model,
        "file": file.name,
    }
    content = json.loads(json.dumps(content))  # plain, as it is read
    key = digest([content["options"], content["columns"]], 8)
    folder = ProbeFolder(run.folder.path / FOLDER / f"{PROBE}-{key}", PROBE, results.settings, [])
    folder.path.mkdir(parents=True, exist_ok=True)
    new = folder.store(Wanted(step, ((run.run_id, step),)), content)
    return JoinedScores(file, run.run_id, step, list(results.columns), results.notes, new)
