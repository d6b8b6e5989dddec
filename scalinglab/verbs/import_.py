"""``scaling import``: bring in runs that other programs made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalinglab.answers.imported import ImportOptions, read_imported, store
from scalinglab.destination import Beside, Unwritten
from scalinglab.options import OutputsOptions
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

if TYPE_CHECKING:
    from scalinglab.analysis.importers.assemble import Imported


@dataclass(frozen=True, kw_only=True)
class ImportVerbOptions(OutputsOptions, ImportOptions):
    """Options of ``scaling import``."""


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
        """What was read and decided, and what can be done with it."""
        screen.say(self.imported.report())
        if self.study is None and self.unwritten is None:
            screen.say("nothing was stored; to=NAME makes it a study")
        elif self.study is not None:
            screen.say(
                f"study {self.study}: scaling fit study={self.study}, scaling report"
                f" study={self.study}"
            )


def run(options: ImportVerbOptions, screen: Screen) -> ImportResult:
    """Import runs made elsewhere: scaling import sweep.csv to=sweep columns.N=params.

    Reads a table with a row a run or a row a step (CSV, TSV, parquet, JSON), several tables of the
    same runs, a text log whose lines pattern= describes, a folder of tables, of Lightning's
    CSVLogger, of Hugging Face's Trainer or of TensorBoard events, a chart exported from wandb, or
    wandb:ENTITY/PROJECT (sweep=, tags=, state= choose its runs). Every decision made while reading
    is listed; what cannot be decided is refused with its row. Without to=NAME nothing is stored.
    docs/importing.md has more.
    """
    imported, beside = read_imported(options), Beside()
    outputs = options.outputs_path
    study = beside.write(options.to, lambda name: store(imported, outputs, name, options))
    return ImportResult(imported, study, beside.error)


VERB = Verb(
    "import runs made elsewhere: tables, wandb, Lightning, TensorBoard",
    "scaling import FILE|FOLDER|wandb:ENTITY/PROJECT [to=NAME] [columns.N=NAME ...]",
    run,
    ImportVerbOptions,
)
