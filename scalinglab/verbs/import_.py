"""``scaling import``: bring in runs that other programs made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalinglab.answers.harness import JoinedScores, join_scores
from scalinglab.answers.imported import ImportOptions, read_imported, store
from scalinglab.destination import SideFiles, Unwritten
from scalinglab.options import OutputsOptions, option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.text.shell import override
from scalinglab.sweeps.store.stored_plan import read_plan, study_folder
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

if TYPE_CHECKING:
    from scalinglab.analysis.importers.assemble import Imported


@dataclass(frozen=True, kw_only=True)
class ImportVerbOptions(OutputsOptions, ImportOptions):
    """Options of ``scaling import``."""

    study: str | None = option(
        "of result files of lm-evaluation-harness: the study of this laboratory whose exported"
        " models they score",
        None,
    )


@dataclass(frozen=True)
class ImportResult:
    """Runs that were read, and the study that they are now."""

    imported: Imported
    study: str | None
    unwritten: Unwritten | None = None
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a run, and what was decided while reading."""
        return {
            "study": self.study,
            "runs": self.imported.runs,
            "notes": self.imported.notes,
            "rows_of_curves": len(self.imported.curves),
        }

    def show(self, screen: Screen) -> None:
        """The imported columns, the assumptions made, and the next commands."""
        screen.say(self.imported.report())
        if self.study is None and self.unwritten is None:
            screen.say("nothing was stored; to=NAME makes it a study")
        elif self.study is not None:
            screen.say(
                f"study {self.study}: scaling fit study={self.study}, scaling report"
                f" study={self.study}"
            )


@dataclass(frozen=True)
class ScoresResult:
    """Scores that were joined to the runs of a study."""

    study: str
    scores: Sequence[JoinedScores]
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a file."""
        return {"study": self.study, "scores": [vars(model) for model in self.scores]}

    def show(self, screen: Screen) -> None:
        """A line a file, and how the columns are used."""
        for model in self.scores:
            note = "" if model.new else " (was there)"
            names = ", ".join(model.columns[:4]) + (" ..." if len(model.columns) > 4 else "")
            screen.say(
                f"{model.file}: {len(model.columns)} columns of run {model.run_id} at step "
                f"{model.step}{note}: {names}"
            )
        for note in dict.fromkeys(note for model in self.scores for note in model.notes):
            screen.say(f"- {note}")
        screen.say(
            f"they are columns of its tables: scaling fit {override('study', self.study)} law=power"
            f" x=N columns.loss={self.scores[0].columns[0]}"
        )


def run(options: ImportVerbOptions, screen: Screen) -> ImportResult | ScoresResult:
    """Import runs made elsewhere: scaling import sweep.csv to=sweep columns.N=params.

    Reads a table with a row a run or a row a step (CSV, TSV, parquet, JSON), several tables of the
    same runs, a text log whose lines pattern= describes, a folder of tables, of Lightning's
    CSVLogger, of Hugging Face's Trainer or of TensorBoard events, a chart exported from wandb, or
    wandb:ENTITY/PROJECT (sweep=, tags=, state= choose its runs). Every decision made while reading
    is listed; what cannot be decided is refused with its row. Without to=NAME nothing is stored.
    docs/importing.md has more.

    With study=NAME the files are results of lm-evaluation-harness, or folders of them, for exported
    models of that study: their scores become columns task.TASK.METRIC of its runs.
    """
    if options.study is not None:
        return _join(options, screen)
    imported, outputs = read_imported(options), options.outputs_path
    side_files = SideFiles()
    study = side_files.write(options.to, lambda name: store(imported, outputs, name, options))
    return ImportResult(imported, study, side_files.error)


def _join(options: ImportVerbOptions, screen: Screen) -> ScoresResult:
    if options.to is not None:
        raise ConfigError(
            f"to = {options.to!r} makes a study of runs made elsewhere; study = {options.study!r}"
            " is one that is there: give one of them"
        )
    if not options.source:
        raise ConfigError(
            f"name the result files: scaling import FILE|FOLDER {override('study', options.study)}"
        )
    assert options.study is not None
    if not study_folder(options.outputs_path, options.study).exists():
        raise ConfigError(
            f"there is no study {options.study!r} in {options.outputs_path} whose exported models"
            f" could have results; runs made elsewhere become a study by"
            f" {override('to', options.study)}"
        )
    plan = read_plan(options.outputs_path, options.study)
    return ScoresResult(options.study, join_scores(options.source, plan))


VERB = Verb(
    "import runs made elsewhere: tables, wandb, Lightning, TensorBoard",
    "scaling import FILE|FOLDER|wandb:ENTITY/PROJECT [to=NAME|study=NAME] [columns.N=NAME ...]",
    run,
    ImportVerbOptions,
)
