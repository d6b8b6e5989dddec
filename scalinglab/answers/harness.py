"""Scores that lm-evaluation-harness gave to exported models, stored beside their runs."""

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
from scalinglab.scaling.probes.folder import FOLDER, ProbeFolder, RequestedResult
from scalinglab.scaling.records.atomic import files_below
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.text.nearest import nearest
from scalinglab.sweeps.store.stored_plan import StoredPlan, StoredRun

PROBE = "harness"  # the scores are stored as the numbers of a probe with this name
_EXPORTED = re.compile(r"(\w+)-(\d+)-\w+")  # RUN-STEP-FORM, as `scaling export` names a folder


@dataclass(frozen=True)
class JoinedScores:
    """The scores of one model, and its run.

    Attributes
    ----------
    file : Path
    run_id : str
    step : int
    columns : sequence of str
        The names of the scores in tables.
    notes : sequence of str
    new : bool
        Whether they were stored now, not in an earlier call.
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
        If a file is no result file, or its model belongs to no run of the study; nothing is stored
        then.
    """
    files = [file for source in sources for file in _files(Path(source).expanduser())]
    results = [(file, _read(file)) for file in files]
    by_id = {run.run_id: run for run in plan.runs}
    # All of them first, so that a wrong file is refused before anything is stored.
    placed = [(file, scores, *_place(file, scores, by_id, plan)) for file, scores in results]
    return [_stored(*model) for model in placed]


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
    run_id, step = _by_folder(Path(results.model)) or _by_name(results.name)
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


def _by_folder(model: Path) -> tuple[str, int] | None:
    """Run and step by the exported folder's own file; None if it is gone or not such a folder."""
    try:
        exported = json.loads((model / "scaling_run.json").read_text(encoding="utf-8"))
        return str(exported["run_id"]), int(exported["step"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _by_name(name: str) -> tuple[str, int | None]:
    """Run and step by the name of an exported folder; another name is taken for a run's id."""
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
    content = json.loads(json.dumps(content))  # as it will be read back: lists, no tuples
    key = digest([content["options"], content["columns"]], 8)
    folder = ProbeFolder(run.folder.path / FOLDER / f"{PROBE}-{key}", PROBE, results.settings, [])
    folder.path.mkdir(parents=True, exist_ok=True)
    new = folder.store(RequestedResult(step, ((run.run_id, step),)), content)
    return JoinedScores(file, run.run_id, step, list(results.columns), results.notes, new)
