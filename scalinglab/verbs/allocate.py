"""``scaling allocate``: split compute budgets between model size and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalinglab.analysis.decisions.allocation import growth_in_words
from scalinglab.analysis.decisions.approaches import refusals_in_words
from scalinglab.analysis.fitting.fit_text import in_a_line
from scalinglab.analysis.reporting.facts import facts_of_allocation, facts_of_approaches
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.analysis.tables.powers import in_powers
from scalinglab.answers.allocate import Allocated, AllocateOptions, allocate
from scalinglab.answers.fit import SaveOptions
from scalinglab.destination import SideFiles, Unwritten, check_destination
from scalinglab.source import SourceOptions
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.decisions.approaches import Approaches

# Column of a table -> what people read.
_HEADINGS = {"left": "excess loss", "wasted": "compute wasted"}


@dataclass(frozen=True, kw_only=True)
class AllocateVerbOptions(SourceOptions, AllocateOptions, SaveOptions):
    """Options of ``scaling allocate``."""


@dataclass(frozen=True)
class AllocateResult:
    """The best splits of the budgets, and the other answers."""

    answer: Allocated
    unwritten: Unwritten | None = None
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a budget, how N* and D* grow, and the other answers."""
        allocated = self.answer
        parts = {
            "cheapest": allocated.cheapest,
            "tokens_to_losses": allocated.tokens_to_losses,
            "splits": allocated.splits,
        }
        answer = facts_of_allocation(allocated.allocation)
        answer["warnings"] = allocated.warnings
        answer["counted"] = allocated.fit.settings["counted"]
        answer["law"], answer["points"] = allocated.fit.law.name, allocated.fit.points
        answer["level"] = allocated.fit.settings["level"]
        answer |= {name: table for name, table in parts.items() if table is not None}
        if allocated.approaches is not None:
            answer["approaches"] = facts_of_approaches(allocated.approaches)
        return answer

    def show(self, screen: Screen) -> None:
        """A table for each question, and the warnings."""
        allocated, allocation = self.answer, self.answer.allocation
        counted = [f"{name} = {how}" for name, how in allocated.fit.settings["counted"].items()]
        screen.say(in_powers(", ".join([f"C = {allocation.cost}", *counted])))
        screen.say(in_powers(in_a_line(allocated.fit)))
        _table(screen, allocation.table)
        screen.say(growth_in_words(allocation.exponents))
        if allocated.cheapest is not None:
            screen.say("\nthe cheapest training that reaches a loss")
            _table(screen, allocated.cheapest)
        if (tokens := allocated.tokens_to_losses) is not None:
            screen.say("\ntokens on which a size reaches a loss")
            _table(screen, tokens[["target", *tokens.columns.drop("target")]])
        if allocated.splits is not None:
            screen.say("\nexcess loss of other splits")
            _table(screen, allocated.splits)
        if allocated.approaches is not None:
            _show_approaches(screen, allocated.approaches)
        for warning in allocated.warnings:
            screen.say(in_powers(f"! {warning}"), style="yellow")


def run(options: AllocateVerbOptions, screen: Screen) -> AllocateResult:
    """Split compute budgets between N and D: scaling allocate study=NAME budgets=[1e18,1e20].

    cost=6nd counts C as 6 N D, cost=attention adds causal attention, cost=hours takes the
    device-hours that the runs of the study took; inference_tokens=1e12 adds the cost of serving.
    losses=[2.5] asks for the cheapest training that reaches a loss, with sizes=[1e9] also for the
    tokens on which a model of that size reaches it, with batch=5e5 in how many steps;
    splits=[[1e9,2e10]] for the excess loss of other splits. approaches=true puts the envelope
    of final losses, the IsoFLOP minima and the surface side by side.
    """
    check_destination("save", options.save, "fit")
    side_files = SideFiles()
    allocated = allocate(
        options.source, options, on_fit=lambda fit: side_files.write(options.save, fit.save)
    )
    return AllocateResult(allocated, side_files.error)


def _show_approaches(screen: Screen, approaches: Approaches) -> None:
    screen.say("\nthree approaches: N* grows as C^a, D* as C^b")
    _table(screen, approaches.exponents)
    screen.say("")
    _table(screen, approaches.table)
    for sentence in refusals_in_words(approaches.refused):
        screen.say(in_powers(sentence), style="dim")


def _table(screen: Screen, frame: pd.DataFrame) -> None:
    screen.table(with_intervals(frame).rename(columns=_HEADINGS))


VERB = Verb(
    "split compute budgets between N and D",
    "scaling allocate study=NAME | data=FILE ['budgets=[1e18,1e20]'] [cost=6nd]",
    run,
    AllocateVerbOptions,
    shows_bar=True,
)
