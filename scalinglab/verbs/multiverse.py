"""``scaling multiverse``: how the answer varies with each analysis choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalinglab.analysis.reporting.facts import facts_of_multiverse
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.analysis.tables.powers import in_powers
from scalinglab.answers.multiverse import MultiverseOptions, multiverse, write_figure
from scalinglab.destination import SideFiles, Unwritten, check_destination
from scalinglab.options import option
from scalinglab.source import SourceOptions
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

if TYPE_CHECKING:
    from scalinglab.analysis.judgement.multiverse import Multiverse


@dataclass(frozen=True, kw_only=True)
class MultiverseVerbOptions(SourceOptions, MultiverseOptions):
    """Options of ``scaling multiverse``."""

    to: str | None = option("an .svg file for the figure", None)


@dataclass(frozen=True)
class MultiverseResult:
    """The answers of all variants, and the file of their figure."""

    answer: Multiverse
    written: str | None
    unwritten: Unwritten | None = None
    code = 0

    def as_json(self) -> dict[str, Any]:
        """Every variant with its answer, and the share of each choice in their variance."""
        return facts_of_multiverse(self.answer) | {"written": self.written}

    def show(self, screen: Screen) -> None:
        """The range of the answers, a row a choice, and why some variants give none."""
        for sentence in self.answer.sentences():
            screen.say(in_powers(sentence))
        screen.table(with_intervals(self.answer.shares_in_words()))
        for sentence in self.answer.unmet:
            screen.say(in_powers(f"! {sentence}"), style="yellow")
        table = self.answer.table
        for why, failed in table[table["why"] != ""].groupby("why"):
            screen.say(in_powers(f"! {len(failed)} variants give no answer: {why}"), style="yellow")


def run(options: MultiverseVerbOptions, screen: Screen) -> MultiverseResult:
    """Vary the analysis: scaling multiverse study=NAME target='N at C=1e13'.

    Refits with N counted in each way (the three counts of a study; n_columns=[...] of a file), with
    two laws and three objectives, with all runs and without the smallest size or the fewest tokens,
    and says how the answer varies with each choice, and which matters most. target is as for
    scaling next. to=FILE.svg draws it.
    """
    check_destination("to", options.to, "figure", ".svg")
    answer = multiverse(options.source, options)
    side_files = SideFiles()
    written = side_files.write(options.to, lambda to: write_figure(answer, to))
    return MultiverseResult(answer, written, side_files.error)


VERB = Verb(
    "how the answer varies with each analysis choice, and which matters most",
    "scaling multiverse study=NAME | data=FILE target='N at C=1e13' [to=x.svg]",
    run,
    MultiverseVerbOptions,
    shows_bar=True,
)
