"""``scaling next``: choose the next runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.analysis.reporting.facts import facts_of_next
from scalinglab.answers.next import HOURS, ChosenRuns, NextOptions, next_of_file, next_runs
from scalinglab.candidate_runs import say_widened, show_chosen
from scalinglab.options import overrides
from scalinglab.scaling.errors import ConfigError
from scalinglab.source import FileSource, SourceOptions
from scalinglab.study import Study
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class NextVerbOptions(SourceOptions, NextOptions):
    """Options of ``scaling next``."""

    overrides: list[str] = overrides("an override for the candidate runs: data.max_epochs=3")


@dataclass(frozen=True)
class NextResult:
    """Runs to train next."""

    chosen: ChosenRuns
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a run, and how well the target is known before and after them."""
        chosen = self.chosen
        named = {} if chosen.loss == "loss" else {"loss_column": chosen.loss}
        return (
            facts_of_next(chosen.choice)
            | {"target": chosen.target, "written": chosen.written, "cost_unit": chosen.unit}
            | {"warnings": chosen.warnings}
            | named
        )

    def show(self, screen: Screen) -> None:
        """A row a run, and how well the target is known before and after them."""
        chosen, choice = self.chosen, self.chosen.choice
        if chosen.note:
            screen.say(chosen.note)
        if len(choice.table):
            show_chosen(screen, choice.table, "hours" if chosen.unit == HOURS else chosen.unit)
        if chosen.loss != "loss":
            screen.say(f"the loss is {chosen.loss}")
        screen.say(chosen.known())
        say_widened(screen, choice.calibration_factor)
        for warning in chosen.warnings:
            screen.say(f"! {warning}", style="yellow")
        if not len(choice.table):
            screen.say("! no affordable candidate is informative about the target", style="yellow")
        if chosen.written is not None:
            screen.say(f"written: scaling launch study={Path(chosen.written).stem}")


def run(options: NextVerbOptions, screen: Screen) -> NextResult:
    """Suggest the most informative runs: scaling next study=NAME target='loss at C=1e13 within 1%'.

    The target is the loss at the best split of a budget (C=...), at a point (N=... D=...), the best
    N or D at a budget, or a parameter of the law. Candidates are the study's sizes, tokens and
    seeds and one step beyond, as far as the data reach, or grid.KEY=[...]; the cost of each in
    device-hours is what it would take alone (those that share a trunk take less together). hours=
    limits the total. to=scaling_conf/study/more.yaml writes a study with the old runs and the new
    ones, which scaling launch trains.

    data=FILE takes runs made elsewhere: candidates are its sizes and tokens and one step beyond, or
    grid.N=[...] grid.D=[...]; they cost 6 N D, of which flops= limits the total, or with hours=
    device-hours at the throughput in the column tokens_per_second.
    """
    source = options.source
    if isinstance(source, FileSource):
        if options.overrides:
            raise ConfigError(
                f"{options.overrides[0]!r} overrides the configuration of a study, and data=FILE"
                " has none"
            )
        return NextResult(next_of_file(source, options))
    assert options.study is not None  # the other of two sources
    study = Study.of_file(options.study, options.outputs, options.overrides, screen)
    return NextResult(next_runs(study.source, study.file, study.compose, options))


VERB = Verb(
    "suggest the most informative next runs per hour, as a study",
    "scaling next study=NAME|data=FILE target='loss at C=1e13 within 1%' [hours=1 to=FILE]",
    run,
    NextVerbOptions,
    shows_bar=True,
)
