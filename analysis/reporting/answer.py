"""A study's answer: the law, its intervals, what it predicted, and the split of the budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.arms.crossover import crossover
from scalinglab.analysis.arms.sentences import answer_in_words
from scalinglab.analysis.arms.splits import splits_in_words
from scalinglab.analysis.decisions.allocation import Allocation, growth_in_words
from scalinglab.analysis.fitting.fit_text import SECTIONS, render
from scalinglab.analysis.judgement.multiverse import in_words
from scalinglab.analysis.reporting.cautions import bend, disagreement, others_apart
from scalinglab.analysis.reporting.law_in_words import (
    held_out_runs_in_words,
    parameters_in_words,
    tests_in_words,
)
from scalinglab.analysis.reporting.left_out_runs import far_from_law
from scalinglab.analysis.reporting.reported_runs import ReportedRuns, TextTable, text_of
from scalinglab.analysis.reporting.split_text import split_in_words, split_table
from scalinglab.analysis.reporting.study_curves import (
    missed_in_words,
    predictions_in_words,
    verdict_below_predictions,
)
from scalinglab.analysis.shown import Overview
from scalinglab.analysis.tables.exclusion import with_command
from scalinglab.analysis.tables.interval_text import value_text
from scalinglab.analysis.tables.mixed_recipes import mixed_in_words, mixed_recipes
from scalinglab.analysis.tables.powers import power, short
from scalinglab.analysis.tables.study_runs import is_imported, with_role
from scalinglab.analysis.tables.typed import records_of
from scalinglab.scaling.records.recipe import MIXED
from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.shell import override

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from scalinglab.analysis.decisions.approaches import Approaches
    from scalinglab.analysis.fitting.result import Result
    from scalinglab.analysis.judgement.laws_compared import LawsCompared
    from scalinglab.analysis.judgement.multiverse import Multiverse

_BELOW = [title for title in SECTIONS if title != "Warnings"]  # of a fit, which cautions tell
_AS_GIVEN = "as given"  # of imported runs whose table does not say what N counts


@dataclass(frozen=True, kw_only=True, repr=False)
class Answer(ReportedRuns):
    """Everything a report says about a study with a law.

    Attributes
    ----------
    law : Result
        The fit of the runs with the role "fit".
    held_out : DataFrame
        One row per held-out run: ``run_id, N, D, loss, predicted, lower, upper, error`` (predicted
        over measured, minus one), ``covered`` (NaN without an interval) and ``impossible``, the
        share of the resamples whose prediction is no possible loss.
    allocation : Allocation or None
        N* and D* for the study's budgets, or for some inside the fitted range if it names none;
        None if one has no best split, no round budget lies inside, or arms are compared.
    budgets_chosen : bool
        Whether the study names no budget.
    curves : DataFrame
        Curves of the runs with the role "curve", with `loss` at the steps that were validated.
    curve_law : Result or None
        Fitted to the schedules that were not held out.
    curve_check : DataFrame
        One row per held-out curve; see `scalinglab.analysis.reporting.study_curves.StudyCurves`.
    approaches : Approaches or None
        The split by other approaches; None if the runs allow only the surface's.
    multiverse : Multiverse or None
        N* for the largest budget under every analysis choice, if requested.
    laws : LawsCompared or None
        Predictions of each law for budgets that it was not fitted to, if requested.
    unanswered : tuple of str
        Sentences on parts of the answer that cannot be given, and why.
    """

    law: Result
    held_out: pd.DataFrame
    allocation: Allocation | None
    curves: pd.DataFrame
    curve_law: Result | None
    curve_check: pd.DataFrame
    approaches: Approaches | None = None
    multiverse: Multiverse | None = None
    laws: LawsCompared | None = None
    unanswered: tuple[str, ...] = ()
    budgets_chosen: bool = False

    @property
    def shown(self) -> Overview:
        """As `Shown`: the headline, the tables behind it, what is beside it and cautions."""
        behind = self.compared or self.allocation
        tables = self.law.shown.tables if behind is None else behind.shown.tables
        law = {} if behind is None or self.compares_arms else dict(self.law.shown.tables)
        sentences, cautions = tuple(self.beside_headline()), tuple(self.cautions())
        return Overview(self.headline(), tables, sentences, cautions).also(law)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """The law and the runs that were fitted; of two recipes, their comparison."""
        return self.law.plot(ax=ax) if self.compared is None else self.compared.plot(ax=ax)

    @property
    def counted(self) -> str:
        """The conventions of C and N; that of N may be unknown for imported runs."""
        convention = self.law.settings["counted"].get("N")
        if not convention:
            return "C = 6 N D"
        return f"C = 6 N D, N {convention if convention == _AS_GIVEN else f'= {convention}'}"

    def terms(self) -> str:
        """What the letters of the answer are, in a line."""
        convention = self.law.settings["counted"].get("N")
        count = "" if not convention else f", counted as {in_words(convention)}"
        count = ", as the table gives them" if convention == _AS_GIVEN else count
        of_arms = self.compared is not None and len(self.compared.splits)
        is_split = self.allocation is not None or of_arms
        best = " N*, D*: the best for a budget C." if is_split else ""
        return (
            f"C: training compute in FLOPs, 6 N D. N: parameters{count}. D: training tokens.{best}"
        )

    def far_runs(self) -> pd.Index:
        """Fitted runs far from the law; those of arms, which one law pools, are not judged."""
        if self.compares_arms:
            return self.runs.index[:0]
        return far_from_law(self.law, with_role(self.runs, "fit"))

    def text(self) -> str:
        """The answer in words and numbers: as on a page, and the table of the fit last."""
        return text_of(self.question, self.headline(), self.cautions(), self.details())

    def cautions(self) -> list[str]:
        """What a reader should be careful about, each thing once."""
        of_law = [
            with_command(warning, self._command, *self.left_out) for warning in self.law.warnings
        ]
        if self.compares_arms:
            # That it mixes recipes is what its section says, and no fault of the runs.
            of_law = [
                f"one law for all recipes: {warning}"
                for warning in of_law
                if not warning.startswith(MIXED)
            ]
        apart = filter(None, [disagreement(self.approaches)])  # the gravest doubt of a split
        bends = filter(None, [self.bends()])
        cautions = [*apart, *super().cautions(), *self.unanswered, *bends, *of_law]
        if self.allocation is not None:
            cautions += self.allocation.warnings
        if self.asks_schedules:
            cautions += self.curve_cautions()
        return cautions

    def curve_cautions(self) -> list[str]:
        """What the curve law misses and warns of; beside another answer its section says it."""
        if self.curve_law is None:
            return []
        failed = self.curve_law_failed()
        warnings = [f"curve law: {warning}" for warning in self.curve_law.warnings]
        return [*([failed] if failed else []), *warnings]

    def details(self) -> list[str | TextTable]:
        """All that a text has below headline and cautions, which it does not repeat.

        The parameters of the law stand in the table of the fit.
        """
        cautions = self.cautions()
        curves = self._curves_in_words()
        findings = [part for part in self._findings("", curves) if part not in cautions]
        split = [] if self.allocation is None else [split_table(self.allocation, self.counted)]
        return [*split, *findings, render(self.law, _BELOW)]

    def headline(self) -> str:
        """The answer in one sentence: the comparison, the best split, or the law's exponents."""
        if self.compared is not None:
            return answer_in_words(self.compared)
        if mixed := self.mixed():
            return f"{mixed.removesuffix('.')}. All runs together: {self._of_one_law()}"
        return self._of_one_law()

    def mixed(self) -> str:
        """That one law pools several recipes, and how to compare them; empty if it does not."""
        if self.compares_arms:
            return ""
        return mixed_in_words(
            self.study, mixed_recipes(with_role(self.runs, "fit"), self.law.columns.values())
        )

    def _of_one_law(self) -> str:
        """The best split, or the law's exponents, in one sentence."""
        if self.allocation is None:
            return parameters_in_words(self.law).partition(". ")[0].rstrip(".") + "."
        rows = records_of(self.allocation.table)
        measured = with_role(self.runs, "fit")["C"].max()
        inside = [r for r in rows if r["inside"] and r["C"] <= measured]
        row = (inside or rows)[-1]
        apart = others_apart(self.approaches, float(row["C"]))
        which = self._which_budget(len(rows), len(inside))
        return (
            f"With C = {power(row['C'])} FLOPs{which} the best model has N* ="
            f" {value_text(row, 'N', short)} parameters{f' ({apart})' if apart else ''} and is"
            f" trained on D* = {value_text(row, 'D', short)} tokens; "
            f"{growth_in_words(self.allocation.exponents)}"
            + (
                "."
                if inside
                else ". This budget is outside the fitted range: the answer is the law's."
            )
        )

    def _which_budget(self, budgets: int, inside: int) -> str:
        """Which one of several budgets the headline tells."""
        if budgets == 1:
            return ""
        if self.budgets_chosen:
            return " (the largest round budget inside the fitted range)"
        within = " inside the fitted range" if 0 < inside < budgets else ""
        return f" (the largest budget asked for{within})"

    def beside_headline(self) -> list[str]:
        """Sentences beside the headline of a page, whose figures and tables hold the numbers."""
        sentences = [
            "" if self.compared is None else splits_in_words(self.compared),
            self._crossing(),
            self._across_variants(),
            # Of one law for both arms, which a comparison does not use.
            "" if self.compares_arms else tests_in_words(self.law, self.held_out),
            self.curve_law_failed() if self.asks_schedules else "",
            self.design_sentence(),
            parameters_in_words(self.law) if self.allocation is not None else "",
        ]
        return [sentence for sentence in sentences if sentence]

    def _across_variants(self) -> str:
        """The range of the analysis variants, beside what this answer has at their budget."""
        if self.multiverse is None:
            return ""
        sentence = self.multiverse.sentence()
        if self.allocation is None:
            return sentence
        largest = self.allocation.table.sort_values("C").iloc[-1]  # the variants' question
        row = records_of(largest.to_frame().T)[0]
        outside = "" if row["inside"] else ", outside the fitted range"
        return f"{sentence} This answer has {value_text(row, 'N', short)} there{outside}."

    def _crossing(self) -> str:
        """Where the laws of two arms cross; the headline has what the compute is worth."""
        comparison = self.compared
        if comparison is None or comparison.result is None:
            return ""
        return f"By one law per recipe, {crossover(comparison)}."

    def sentences(self) -> list[str]:
        """All findings, the answer first; before it that runs mix recipes, if they do."""
        mixed = self.mixed()
        curves = filter(None, [self._schedules(), self.curve_law_failed()])
        split = "" if self.allocation is None else split_in_words(self.allocation, self.counted)
        found = self._findings(parameters_in_words(self.law), *curves)
        return [sentence for sentence in (mixed, split, *found) if sentence]

    def _findings(self, parameters: str, *of_curves: str) -> list[str]:
        """All findings but the split, with what is said of the law's parameters and of curves."""
        sentences = [
            disagreement(self.approaches),
            self.choice_of_budgets(),
            *(self.multiverse.sentences() if self.multiverse else []),
            held_out_runs_in_words(self.law, self.held_out),
            self.bends(),
            self.laws.sentence() if self.laws else "",
            self.design_sentence(),
            parameters,
            *of_curves,
        ]
        ahead = [] if self.outlook is None else self.outlook.sentences()
        return [sentence for sentence in (*sentences, *ahead, *self.unanswered) if sentence]

    def bends(self) -> str:
        """Whether the law misses all of the smallest runs; of arms together it is no finding."""
        if self.compares_arms:
            return ""
        runs = self.runs[self.runs["status"] == State.DONE]
        return bend(self.law, with_role(runs, "fit"), self._command, *self.left_out)

    @property
    def _command(self) -> str:
        """What writes this report again."""
        return f"scaling report {override('study', self.study)}"

    def choice_of_budgets(self) -> str:
        """Where the budgets come from, of a study that names none, and how to ask for others."""
        if self.allocation is None or not self.budgets_chosen:
            return ""
        way = (
            f"scaling import FILE {override('to', self.study)} 'budgets=[1e22]'"
            if is_imported(self.outputs, self.study)
            else "study.answer.budgets in the study's file"
        )
        chosen = (
            "a round budget whose best split lies inside the fitted range stands here"
            if len(self.allocation.table) == 1
            else "round budgets whose best splits lie inside the fitted range stand here"
        )
        return f"No budget was asked for: {chosen}. To ask for others: {way}."

    @property
    def asks_schedules(self) -> bool:
        """Whether the law of curves is the answer, and not beside a best split or two recipes."""
        return self.allocation is None and not self.compares_arms

    def curve_law_failed(self) -> str:
        """Which held-out schedules ended outside the curve law's intervals; empty if no more did
        than are expected to.
        """
        if self.curve_law is None:
            return ""
        return missed_in_words(self.curve_check, self.curve_law.settings["level"])

    def _schedules(self) -> str:
        if self.curve_law is None:
            return ""
        fitted = sorted(set(self.curves["schedule"]) - set(self.curve_check["schedule"]))
        return "\n".join(
            [
                f"The curve law, fitted on {' and '.join(fitted)}, predicts:",
                *predictions_in_words(self.curve_check, self.curve_law.settings["level"]),
            ]
        )

    def _curves_in_words(self) -> str:
        """What the curve law predicts and, unless the cautions say so, that it failed."""
        if self.curve_law is None or self.asks_schedules:
            return self._schedules()
        level = self.curve_law.settings["level"]
        verdict = verdict_below_predictions(self.curve_check, level)
        return "\n".join(filter(None, [self._schedules(), verdict]))
