"""The questions of a study to its probes: which numbers, of which runs, at which steps.

<outputs>/studies/<name>/probes/<probe>-<key>-<hash>.json    one question; written once

Workers, tables and ``gc`` read it. A question stays after it was answered: it names the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.probes.folder import FOLDER, Place, ProbeFolder, Wanted
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, reading
from scalinglab.scaling.records.identity import digest
from scalinglab.sweeps.store.stored_plan import study_folder

_ASK: Shape = {"probe": str, "key": str, "options": dict, "runs": dict}


@dataclass(frozen=True)
class Ask:
    """A probe with its options, and what it is asked for.

    Attributes
    ----------
    probe : str
        Its name.
    key : str
        Short name of the probe with its options (``scalinglab.scaling.probes.probe.key_of``).
    options : mapping
        As plain values.
    runs : mapping of str to sequence of Wanted
        The numbers of each run, by its id.
    """

    probe: str
    key: str
    options: Mapping[str, Any]
    runs: Mapping[str, Sequence[Wanted]]

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
            run_id: [
                [w.step, [list(place) for place in w.reads], *([list(w.twins)] if w.twins else [])]
                for w in questions
            ]
            for run_id, questions in self.runs.items()
        }
        return {"probe": self.probe, "key": self.key, "options": dict(self.options), "runs": runs}


def asks_folder(outputs: Path, study: str) -> Path:
    """Where the questions of a study lie."""
    return study_folder(outputs, study) / "probes"


def store_ask(outputs: Path, study: str, ask: Ask) -> None:
    """Store a question; one that is stored already stays as it is."""
    content = ask.to_dict()
    file = asks_folder(outputs, study) / f"{ask.folder_name}-{digest(content, 8)}.json"
    if not file.exists():
        write_json(file, content)


def read_ask(file: Path) -> Ask:
    """Read a question.

    Raises
    ------
    DamagedFile
        If it cannot be read.
    """
    stored = read_json(file, _ASK)
    with reading(file, "it asks for nothing"):
        runs = {run_id: [*map(_wanted, questions)] for run_id, questions in stored["runs"].items()}
        return Ask(stored["probe"], stored["key"], stored["options"], runs)


def _wanted(stored: Sequence[Any]) -> Wanted:
    step, reads, *twins = stored
    places = tuple((str(run_id), int(at)) for run_id, at in reads)
    return Wanted(int(step), places, tuple(map(str, *twins)) if twins else ())


def read_asks(outputs: Path, study: str) -> list[Ask]:
    """All questions of a study.

    Raises
    ------
    DamagedFile
        If one cannot be read.
    """
    return [read_ask(file) for file in sorted(asks_folder(outputs, study).glob("*.json"))]


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
    for file in sorted(asks_folder(outputs, study).glob("*.json")):
        if probe is not None and not file.name.startswith(f"{probe}-"):
            continue
        try:
            ask = read_ask(file)
        except FileNotFoundError:
            continue
        except DamagedFile:
            if options:
                continue
            entry = f"{file.stem}: a question that could not be read"
        else:
            lacking = sum(bool(folder.missing()) for folder in ask.folders(outputs))
            if not lacking or any(ask.options.get(k) != v for k, v in options.items()):
                continue
            entry = f"{ask.folder_name}: of {lacking} runs that lacked numbers"
        file.unlink(missing_ok=True)
        gone.append(entry)
    return gone


def asked_folders(outputs: Path, study: str) -> list[ProbeFolder]:
    """The questions of a study by run and probe, those of one run and probe joined."""
    by_path: dict[Path, ProbeFolder] = {}
    for ask in read_asks(outputs, study):
        for folder in ask.folders(outputs):
            folder_before = by_path.setdefault(folder.path, folder)
            more = [w for w in folder.wanted if w not in folder_before.wanted]
            if more:
                questions = [*folder_before.wanted, *more]
                by_path[folder.path] = ProbeFolder(folder.path, ask.probe, ask.options, questions)
    return list(by_path.values())


def still_read(outputs: Path) -> Iterator[Place | DamagedFile]:
    """Checkpoints that questions of any study have yet to read, and damage to the questions."""
    for file in outputs.glob("studies/*/probes/*.json"):
        try:
            folders = read_ask(file).folders(outputs)
        except DamagedFile as error:
            yield error
            continue
        except FileNotFoundError:
            continue
        for folder in folders:
            yield from (place for question in folder.missing() for place in question.reads)
