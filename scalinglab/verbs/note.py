"""``scaling note``: keep what happened to a run with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalinglab.launched_study import LaunchedStudy
from scalinglab.options import SELECTION, OutputsOptions, option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.notes import Note, add_note, notes_of
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class NoteOptions(OutputsOptions):
    """Options of ``scaling note``."""

    run: str | None = option("a run by its id, or the beginning of it", None)
    study: str | None = option("instead of run=: runs of this study", None)
    runs: str | None = option(f"with study=: {SELECTION}; by default all", None)
    text: list[str] = option(
        "what is to be kept, in quotes, without text= where it has no = itself; none: notes are"
        " shown",
        [],
        bare=True,
    )


@dataclass(frozen=True)
class Notes:
    """Notes of some runs.

    Attributes
    ----------
    notes : mapping of str to sequence of Note
        By the id of the run; those that were added, or all.
    added : bool
    """

    notes: Mapping[str, Sequence[Note]]
    added: bool

    code = 0

    def as_json(self) -> dict[str, Any]:
        """The notes of each run."""
        return {
            "added": self.added,
            "notes": {run_id: [vars(n) for n in notes] for run_id, notes in self.notes.items()},
        }

    def show(self, screen: Screen) -> None:
        """A line a note."""
        for run_id, notes in self.notes.items():
            for note in notes:
                screen.say(f"{'noted, ' * self.added}{run_id} {note}")
        if not any(self.notes.values()):
            screen.say("no note is kept with these runs")


def run(options: NoteOptions, screen: Screen) -> Notes:
    """Keep a note with a run: scaling note run=k3v9 "node fell out, restarted at step 400".

    study=NAME runs=SELECTION keeps it with several. Notes have a date, stay as they are, and change
    no id. The report, scaling status and scaling logs show them, scaling sync brings them to wandb;
    in analysis.load they are the column notes. Without a text the notes are shown.
    """
    text = " ".join(options.text).strip()
    if options.text and not text:
        raise ConfigError("text is empty: say what is to be kept, in quotes")
    if (options.run is None) == (options.study is None):
        raise ConfigError("name the run: run=ID, or study=NAME with runs=SELECTION")
    if options.study is not None:
        study = LaunchedStudy(options.study, options.outputs_path, screen=screen)
        notes = study.note(text, options.runs) if text else study.notes(options.runs)
    else:
        folder = _folder(options)
        notes = {folder.run_id: [add_note(folder, text)] if text else notes_of(folder)}
    return Notes({run_id: some for run_id, some in notes.items() if some}, added=bool(text))


def _folder(options: NoteOptions) -> RunFolder:
    """The folder of the one run that ``run=`` names."""
    if options.runs is not None:
        raise ConfigError(f"runs = {options.runs!r} is for study=NAME; run= names one run")
    start = options.run or ""
    ids = sorted(path.parent.name for path in options.outputs_path.glob("runs/*/run.json"))
    matching = [run_id for run_id in ids if run_id.startswith(start)]
    if len(matching) != 1 or not start:
        what = f"is the beginning of {len(matching)} runs" if matching else "is the id of no run"
        raise ConfigError(f"run = {start!r} {what} in {options.outputs_path}")
    return RunFolder(options.outputs_path / "runs" / matching[0])


VERB = Verb(
    "keep a note with a run, such as what went wrong",
    'scaling note run=ID "TEXT" | study=NAME runs=SELECTION "TEXT"',
    run,
    NoteOptions,
)
