"""Questions of a study to its checkpoints: a probe, the runs, the steps.

<outputs>/studies/<name>/probes/<probe>-<key>-<hash>.json    one question; written once

Workers, tables and ``gc`` read it. A question stays after it was answered: it names the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.probes.folder import FOLDER, Place, ProbeFolder, RequestedResult
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, reading
from scalinglab.scaling.records.identity import digest
from scalinglab.sweeps.store.stored_plan import study_folder

_QUESTION: Shape = {"probe": str, "key": str, "options": dict, "runs": dict}


@dataclass(frozen=True)
class ProbeQuestion:
    """A probe with its options, and the results that a study requests.

    Attributes
    ----------
    probe : str
        Its name.
    key : str
        Short name of the probe with its options (``scalinglab.scaling.probes.probe.key_of``).
    options : mapping
        As plain values.
    runs : mapping of str to sequence of RequestedResult
        The numbers of each run, by its id.
    """

    probe: str
    key: str
    options: Mapping[str, Any]
    runs: Mapping[str, Sequence[RequestedResult]]

    @property
    def folder_name(self) -> str:
        """Name of the folder of its results beside a run."""
        return f"{self.probe}-{self.key}"

    def folders(self, outputs: Path) -> list[ProbeFolder]:
        """Where its results lie, run by run."""
        return [
            ProbeFolder(
                outputs / "runs" / run_id / FOLDER / self.folder_name,
                self.probe,
                self.options,
                questions,
            )
            for run_id, questions in self.runs.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """The content of its file."""
        runs = {
            run_id: [_plain(result) for result in questions]
            for run_id, questions in self.runs.items()
        }
        return {"probe": self.probe, "key": self.key, "options": dict(self.options), "runs": runs}


def questions_folder(outputs: Path, study: str) -> Path:
    """Where the questions of a study lie."""
    return study_folder(outputs, study) / "probes"


def store_question(outputs: Path, study: str, question: ProbeQuestion) -> None:
    """Store a question; one that is stored already stays as it is."""
    content = question.to_dict()
    file = questions_folder(outputs, study) / f"{question.folder_name}-{digest(content, 8)}.json"
    if not file.exists():
        write_json(file, content)


def read_question(file: Path) -> ProbeQuestion:
    """Read a question.

    Raises
    ------
    DamagedFile
        If it cannot be read.
    """
    stored = read_json(file, _QUESTION)
    with reading(file, "it asks for nothing"):
        runs = {
            run_id: [*map(_requested, questions)] for run_id, questions in stored["runs"].items()
        }
        return ProbeQuestion(stored["probe"], stored["key"], stored["options"], runs)


def _plain(result: RequestedResult) -> list[Any]:
    """A requested result as JSON holds it; `_requested` reads it."""
    twins = [list(result.twins)] if result.twins else []
    return [result.step, [list(place) for place in result.reads], *twins]


def _requested(stored: Sequence[Any]) -> RequestedResult:
    step, reads, *twins = stored
    places = tuple((str(run_id), int(at)) for run_id, at in reads)
    return RequestedResult(int(step), places, tuple(map(str, *twins)) if twins else ())


def read_questions(outputs: Path, study: str) -> list[ProbeQuestion]:
    """All questions of a study.

    Raises
    ------
    DamagedFile
        If one cannot be read.
    """
    return [read_question(file) for file in sorted(questions_folder(outputs, study).glob("*.json"))]


def withdraw(outputs: Path, study: str, probe: str | None, options: Mapping[str, Any]) -> list[str]:
    """Remove questions that still lack numbers; the numbers that were found stay.

    A question that cannot be read is known by the name of its file alone. Workers finish what they
    have begun.

    Parameters
    ----------
    outputs, study
        Where the questions lie.
    probe : str, optional
        Only the questions to this probe; default: to all.
    options : mapping
        Only the questions with these values of options.

    Returns
    -------
    list of str
        The probes with their options that are no longer asked, and of how many runs.
    """
    gone = []
    for file in sorted(questions_folder(outputs, study).glob("*.json")):
        if probe is not None and not file.name.startswith(f"{probe}-"):
            continue
        try:
            question = read_question(file)
        except FileNotFoundError:
            continue
        except DamagedFile:
            if options:
                continue
            entry = f"{file.stem}: a question that could not be read"
        else:
            lacking = sum(bool(folder.missing()) for folder in question.folders(outputs))
            if not lacking or any(question.options.get(k) != v for k, v in options.items()):
                continue
            entry = f"{question.folder_name}: of {lacking} runs that lacked numbers"
        file.unlink(missing_ok=True)
        gone.append(entry)
    return gone


def probe_folders(outputs: Path, study: str) -> list[ProbeFolder]:
    """The folders of results of all questions of a study, one per run and probe."""
    by_path: dict[Path, ProbeFolder] = {}
    for question in read_questions(outputs, study):
        for folder in question.folders(outputs):
            folder_before = by_path.setdefault(folder.path, folder)
            more = [result for result in folder.requested if result not in folder_before.requested]
            if more:
                questions = [*folder_before.requested, *more]
                by_path[folder.path] = ProbeFolder(
                    folder.path, question.probe, question.options, questions
                )
    return list(by_path.values())


def unread_checkpoints(outputs: Path) -> Iterator[Place | DamagedFile]:
    """Checkpoints that questions of any study still have to read, and damage to the questions."""
    for file in outputs.glob("studies/*/probes/*.json"):
        try:
            folders = read_question(file).folders(outputs)
        except DamagedFile as error:
            yield error
            continue
        except FileNotFoundError:
            continue
        for folder in folders:
            yield from (place for question in folder.missing() for place in question.reads)
