"""``scaling compare-laws``: laws side by side on the same runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from scalinglab.answers.compare_laws import ComparedLaws, CompareLawsOptions, compare_laws
from scalinglab.show import blank
from scalinglab.source import SourceOptions
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

_OPTIONAL = ("free parameters", "too high or too low", "in sample")


@dataclass(frozen=True, kw_only=True)
class CompareLawsVerbOptions(SourceOptions, CompareLawsOptions):
    """Options of ``scaling compare-laws``."""


@dataclass(frozen=True)
class CompareLawsResult:
    """Laws compared."""

    answer: ComparedLaws
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a law, the best first, and every prediction of a held-out point."""
        comparison = self.answer.comparison
        return {
            "by": comparison.by,
            "origins": comparison.origins,
            "winner": comparison.winner,
            "rivals": comparison.rivals,
            "laws": comparison.table.to_dict("index"),
            "predictions": comparison.predictions,
            "not_scored": comparison.not_scored.rows,
            "refused": self.answer.refused,
        }

    def show(self, screen: Screen) -> None:
        """A row a law, and what follows from the rows."""
        comparison = self.answer.comparison
        points = comparison.predictions[["origin", "row"]].drop_duplicates()
        screen.say(
            f"{len(comparison.table)} laws, each fitted without the largest {comparison.by} and"
            f" asked for them: {len(points)} predictions from {len(comparison.origins)} cuts"
        )
        screen.table(_shown(comparison.table), optional=_OPTIONAL)
        for sentence in comparison.sentences():
            screen.say(sentence)
        for law, why in self.answer.refused.items():
            screen.say(f"! {law} is left out: {why}", style="yellow")


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "law": table.index,
            "free parameters": table["free"],
            "in sample": [f"{e:.2%}" for e in table["in_sample"]],
            "held out": [f"{e:.2%}" for e in table["held_out"]],
            "bias": [f"{e:+.2%}" for e in table["bias"]],
            "too high or too low": [f"{e:.0%}" for e in table["one_sided"]],
            "score": [f"{e:.2f}" for e in table["score"]],
            "the best keeps its lead": [blank(e, ".0%") for e in table["behind"]],
        }
    )


def run(options: CompareLawsVerbOptions, screen: Screen) -> CompareLawsResult:
    """Compare laws: scaling compare-laws study=NAME, or data=FILE laws=[chinchilla,farseer].

    Each law is fitted to the runs without the largest ones, several times, and predicts these. The
    table has the mean error of the points that were fitted and of those held out, its bias at the
    question (beyond=), the share of errors on one side, the mean log density of the predictions and
    how often the best law keeps its lead for other draws of the runs, fitted and held out. Where
    the runs cannot tell laws apart, that is the answer.
    """
    return CompareLawsResult(compare_laws(options.source, options))


VERB = Verb(
    "laws side by side: which predicts best what it has not seen",
    "scaling compare-laws study=NAME | data=FILE [laws=[chinchilla,kaplan_nd] by=C beyond=3]",
    run,
    CompareLawsVerbOptions,
    shows_bar=True,
)
