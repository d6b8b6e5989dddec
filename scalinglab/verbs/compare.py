"""``scaling compare``: compare two recipes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab.analysis.arms.curves import curves_in_words
from scalinglab.analysis.reporting.facts import facts_of_arms
from scalinglab.analysis.tables.powers import in_powers
from scalinglab.answers.compare import (
    Compared,
    CompareOptions,
    compare_file,
    compare_studies,
    compare_study,
)
from scalinglab.terminal import Screen
from scalinglab.two_recipes import TwoRecipes
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class CompareVerbOptions(TwoRecipes, CompareOptions):
    """Options of ``scaling compare``."""


@dataclass(frozen=True)
class CompareResult:
    """Two recipes compared."""

    answer: Compared
    code = 0

    def as_json(self) -> dict[str, Any]:
        """Laws, pairs, scales, crossover and curves."""
        other = self.answer.other
        by_other = None if other is None else {"n_count": other[0], **facts_of_arms(other[1])}
        return facts_of_arms(self.answer.arms) | {
            "curves": self.answer.curves,
            "n_count": self.answer.count,
            "by_other_count": by_other,
        }

    def show(self, screen: Screen) -> None:
        """The comparison in words."""
        screen.say(in_powers(self.answer.arms.report()))
        for line in self.answer.about_counts():
            screen.say(in_powers(line))
        if isinstance(self.answer.curves, str):
            screen.say(f"curves: {self.answer.curves}")
        elif self.answer.curves is not None:
            screen.say(curves_in_words(self.answer.curves, self.answer.arms.arms))


def run(options: CompareVerbOptions, screen: Screen) -> CompareResult:
    """Compare two recipes: scaling compare study=NAME arm=optimizer.name [between=[adamw,muon]].

    Or two studies, scaling compare studies=[a,b], or a file, data=FILE arm=COLUMN. Fits a law to
    each recipe and tests which parameters they share; compares pairs of equal size, tokens and
    seed; gives the compute multiplier, equivalent data, crossover and the probability that the
    second recipe is better; compares training curves where there are some.
    """
    return CompareResult(
        options.answer(
            "compared",
            lambda file: compare_file(file, options),
            lambda outputs, study: compare_study(outputs, study, options),
            lambda outputs, studies: compare_studies(outputs, studies, options),
        )
    )


VERB = Verb(
    "compare two recipes: laws, pairs, compute multiplier, crossover",
    "scaling compare study=NAME arm=KEY | studies=[A,B] | data=FILE arm=COLUMN",
    run,
    CompareVerbOptions,
    shows_bar=True,
)
