"""``scaling tune``: recommend a learning rate and a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab.analysis.decisions.mixture_choice import MixtureChoice
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.analysis.tables.powers import short
from scalinglab.answers.tune import CriticalBatch, Recommended, TuneOptions, tune
from scalinglab.source import SourceOptions
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class TuneVerbOptions(SourceOptions, TuneOptions):
    """Options of ``scaling tune``."""


@dataclass(frozen=True)
class Recommendation:
    """A learning rate and a batch for each planned run."""

    answer: Recommended
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a planned run, and the regret of such choices on the sweep."""
        answer = self.answer
        return {
            "recommended": answer.table,
            "regret": answer.regret,
            "warnings": answer.warnings,
        }

    def show(self, screen: Screen) -> None:
        """The table, and the regret of such choices on the sweep."""
        screen.table(with_intervals(self.answer.table))
        for warning in self.answer.warnings:
            screen.say(f"! {warning}", style="yellow")
        for sentence in self.answer.regret_in_words():
            screen.say(sentence)
        for doubt in self.answer.doubts():
            screen.say(f"! {doubt}", style="yellow")


@dataclass(frozen=True)
class CriticalBatchResult:
    """The critical batch at some losses."""

    answer: CriticalBatch
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a loss."""
        fit = self.answer.fit
        return {
            "law": fit.law.name,
            "critical_batch": self.answer.table,
            "warnings": fit.warnings,
        }

    def show(self, screen: Screen) -> None:
        """The table, the law behind it, and the warnings."""
        screen.table(with_intervals(self.answer.table))
        screen.say(self.answer.law_in_words())
        for warning in self.answer.fit.warnings:
            screen.say(f"! {warning}", style="yellow")


@dataclass(frozen=True)
class MixtureResult:
    """The best mixture."""

    answer: MixtureChoice
    code = 0

    def as_json(self) -> dict[str, Any]:
        """The shares, the losses there, and how they were tested."""
        choice = self.answer
        return {
            "N": choice.N,
            "D": choice.D,
            "epochs": choice.epochs,
            "shares": choice.best.shares,
            "losses": choice.best.losses,
            "loss": choice.best.loss,
            "regret": choice.regret,
            "test": choice.test,
            "warnings": choice.warnings,
        }

    def show(self, screen: Screen) -> None:
        """The shares, the losses there, the tests and the warnings."""
        choice = self.answer
        screen.say(f"at N = {short(choice.N)}, D = {short(choice.D)}")
        screen.table(with_intervals(choice.best.shares))
        screen.table(with_intervals(choice.best.losses))
        screen.say(choice.sentence())
        for sentence in choice.test:
            screen.say(sentence)
        for warning in choice.warnings:
            screen.say(f"! {warning}", style="yellow")


def run(
    options: TuneVerbOptions, screen: Screen
) -> Recommendation | CriticalBatchResult | MixtureResult:
    """Recommend learning rate and batch: scaling tune data=sweep.csv N=[1e9] D=[1e11].

    Needs a sweep, several learning rates and batches (in tokens) for each of several (N, D): a file
    with the columns N, D, lr, batch and loss, or a study. Gives the recommended pair of each
    planned run with its interval, and the regret of such a recommendation at the (N, D) that were
    left out of the fit, beside the regret of one pair for all.

    losses=[2.5,3.0] asks for the critical batch at a loss instead: the batch at which training
    takes twice the fewest steps and twice the fewest tokens.

    mixture=true asks for the shares of the pools of least loss, from runs of several mixtures:
    scaling tune study=mixture mixture=true epochs=4. epochs caps how often a token is seen, weights
    say how much each validation set counts. Mixtures with the role held_out test the answer.
    """
    answer = tune(options.source, options)
    if isinstance(answer, MixtureChoice):
        return MixtureResult(answer)
    return (
        CriticalBatchResult(answer) if isinstance(answer, CriticalBatch) else Recommendation(answer)
    )


VERB = Verb(
    "recommend a learning rate and a batch for a planned run from a sweep",
    "scaling tune data=FILE | study=NAME N=[...] D=[...] | losses=[...] | mixture=true",
    run,
    TuneVerbOptions,
    shows_bar=True,
)
