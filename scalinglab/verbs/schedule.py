"""``scaling schedule``: choose a learning-rate schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab.analysis.decisions.best_schedule import HEADINGS
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.answers.fit import SaveOptions
from scalinglab.answers.schedule import ChosenSchedule, ScheduleOptions, schedule
from scalinglab.destination import SideFiles, Unwritten, check_destination
from scalinglab.options import option
from scalinglab.scaling.text.shell import override
from scalinglab.source import SourceOptions
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

# Column of the table of gains -> what people read.


@dataclass(frozen=True, kw_only=True)
class ScheduleVerbOptions(SourceOptions, ScheduleOptions, SaveOptions):
    """Options of ``scaling schedule``."""

    to: str | None = option("a CSV file for the schedule, which schedule=file reads", None)


@dataclass(frozen=True)
class ScheduleResult:
    """The chosen schedule, and its file."""

    answer: ChosenSchedule
    steps: int
    written: str | None
    unwritten: Unwritten | None = None
    code = 0

    def as_json(self) -> dict[str, Any]:
        """Its corners, its predicted loss and its gains."""
        best = self.answer.best
        return {
            "law": self.answer.fit.law.name,
            "peak": self.answer.peak,
            **best.loss,
            "schedule": best.table,
            "gains": best.gains,
            "warnings": self.answer.warnings,
            "written": self.written,
        }

    def show(self, screen: Screen) -> None:
        """Its corners, its gain over the usual schedules, and how to train it."""
        best = self.answer.best
        screen.table(with_intervals(best.table))
        screen.say(
            f"{best.predicted()}; found in {best.seconds:.1f} s."
            " Predicted gain over the usual schedules:"
        )
        screen.table(with_intervals(best.gains).rename(columns=HEADINGS))
        for warning in self.answer.warnings:
            screen.say(f"! {warning}", style="yellow")
        if self.written is not None:
            screen.say(
                f"written: scaling train schedule=file {override('schedule.path', self.written)} "
                f"optimizer.lr={self.answer.peak:g} trains it, in a run of {self.steps} steps"
            )


def run(options: ScheduleVerbOptions, screen: Screen) -> ScheduleResult:
    """Choose the schedule of least predicted loss: scaling schedule study=NAME steps=20000.

    Fits a law of training curves (run, step, lr, loss: a file, or the study's runs with the role
    "curve"), searches the schedule within peak, warmup (steps), final_ratio and monotone, and
    predicts its gain over cosine, linear and WSD, by the bootstrap refits and by refits that leave
    out one curve each. to=best.csv writes it for schedule=file.
    """
    check_destination("to", options.to, "schedule", ".csv")
    check_destination("save", options.save, "fit")
    side_files = SideFiles()
    chosen = schedule(
        options.source, options, on_fit=lambda fit: side_files.write(options.save, fit.save)
    )
    written = side_files.write(options.to, chosen.best.write)
    return ScheduleResult(chosen, options.steps, written, side_files.error)


VERB = Verb(
    "choose the learning-rate schedule of least predicted loss",
    "scaling schedule study=NAME | data=FILE steps=N [peak=LR to=best.csv ...]",
    run,
    ScheduleVerbOptions,
    shows_bar=True,
)
