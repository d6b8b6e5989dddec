"""``scaling fit``: fit a law to a study or to a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalinglab.analysis.reporting.facts import facts_of_fit
from scalinglab.analysis.tables.powers import in_powers
from scalinglab.answers.fit import OneFitOptions, SaveOptions, fit
from scalinglab.destination import SideFiles, Unwritten, check_destination
from scalinglab.source import SourceOptions
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result


@dataclass(frozen=True, kw_only=True)
class FitVerbOptions(SourceOptions, OneFitOptions, SaveOptions):
    """Options of ``scaling fit``."""


@dataclass(frozen=True)
class FitResult:
    """A fitted law, and the file in which it was saved."""

    fit: Result
    saved: str | None
    unwritten: Unwritten | None = None
    code = 0

    def as_json(self) -> dict[str, Any]:
        """The parameters with their intervals, and how they were fitted."""
        return facts_of_fit(self.fit) | {"saved": self.saved}

    def show(self, screen: Screen) -> None:
        """The report of the fit."""
        screen.say(in_powers(self.fit.report()))
        if self.saved:
            screen.say(f"saved to {self.saved}")


def run(options: FitVerbOptions, screen: Screen) -> FitResult:
    """Fit a law: scaling fit study=NAME, or scaling fit law=chinchilla data=points.csv columns.N=n.

    A study is fitted by its own law to its runs with the role "fit"; law=... chooses another.
    """
    check_destination("save", options.save, "fit")
    result = fit(options.source, options)
    side_files = SideFiles()
    saved = side_files.write(options.save, result.save)
    return FitResult(result, saved, side_files.error)


VERB = Verb(
    "fit a law to a study or to a file",
    "scaling fit study=NAME | data=FILE [law=chinchilla columns.N=NAME ...]",
    run,
    FitVerbOptions,
    shows_bar=True,
)
