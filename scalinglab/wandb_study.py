"""The results of a study for its own run on wandb: read from its folder, nothing is computed."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scalinglab.analysis.reporting.written import ANSWER, PAGE, figures_in
from scalinglab.sweeps.store.stored_plan import StoredPlan, study_folder

_PREFIX = "study-"
_NOT_IN_A_NAME = re.compile(r"[^\w.-]+", re.ASCII)


@dataclass(frozen=True)
class StudyResults:
    """The results of a study.

    Attributes
    ----------
    study, question : str
    config : mapping
        Its question: law, budgets, number of runs.
    summary : mapping
        Runs by state, and the fitted parameters with their intervals.
    files : mapping of str to bytes
        The report, the answer, figures and tables, if they exist.
    """

    study: str
    question: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def run_id(self) -> str:
        """The id of its run on wandb."""
        return run_id_of(self.study)

    @property
    def page(self) -> bytes | None:
        """The report, if there is one."""
        return self.files.get(PAGE)

    @cached_property
    def digest(self) -> str:
        """Equal for equal results."""
        content = hashlib.sha256(json.dumps([self.config, self.summary], default=str).encode())
        for name, file in self.files.items():
            content.update(name.encode() + b"\0" + hashlib.sha256(file).digest())
        return content.hexdigest()


def run_id_of(study: str) -> str:
    """The id of a study's run on wandb; ids have no blanks and slashes."""
    return _PREFIX + _NOT_IN_A_NAME.sub("-", study)


def is_study(job_type: str | None, run_id: str) -> bool:
    """Whether a run on wandb holds the results of a study: nothing was trained in it."""
    return job_type == "study" and run_id.startswith(_PREFIX)


def study_results(outputs: Path, plan: StoredPlan, states: Iterable[str]) -> StudyResults:
    """Read the results from the folder of a study.

    Parameters
    ----------
    outputs : Path
    plan : StoredPlan
    states : iterable of str
        The states of its runs.
    """
    study, folder = plan.study, study_folder(outputs, plan.study.name)
    paths = [folder / PAGE, folder / ANSWER, folder / "plan.json"]
    paths += sorted((folder / "results").glob("*.parquet"))
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths if p.is_file()}
    if PAGE in files:
        figures = figures_in(files[PAGE].decode())
        files |= {f"figures/{name}.svg": text.encode() for name, text in figures.items()}
    config = {
        "study": study.name,
        "question": study.question,
        "answer": study.answer.kind,
        "law": study.answer.law,
        "budgets": list(study.answer.budgets),
        "runs": len(plan.runs),
    }
    summary = {f"runs/{state}": count for state, count in sorted(Counter(map(str, states)).items())}
    return StudyResults(study.name, study.question, config, summary | _law(files), files)


def is_outdated(outputs: Path, plan: StoredPlan) -> bool:
    """Whether runs have ended since the report was written."""
    page = study_folder(outputs, plan.study.name) / PAGE
    done_files = [run.folder.done_file for run in plan.runs if run.folder.done_file.exists()]
    written = page.stat().st_mtime if page.is_file() else 0.0
    return any(file.stat().st_mtime > written for file in done_files)


def _law(files: Mapping[str, bytes]) -> dict[str, float | str]:
    """The answer in a sentence, and the fitted parameters with their bounds; empty without them."""
    if ANSWER not in files:
        return {}
    answer = json.loads(files[ANSWER])
    sentences, fit = answer.get("sentences") or [], answer.get("fit") or {}
    summary: dict[str, float | str] = {"answer": sentences[0]} if sentences else {}
    for name, row in fit.get("parameters", {}).items():
        for key in ("value", "lower", "upper"):
            if isinstance(row.get(key), int | float):
                summary[f"law/{name}" if key == "value" else f"law/{name}/{key}"] = row[key]
    return summary
