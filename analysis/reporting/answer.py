"""A study's answer: the law, its intervals, what it predicted, and the split of the budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.comparison import paired
from scalinglab.analysis.decisions.allocation import Allocation, growth_in_words
from scalinglab.analysis.intervals.spread import (
    IMPOSSIBLE,
    calibration_in_words,
    missing_draws_in_words,
)
from scalinglab.analysis.plot.labels import power, short
from scalinglab.analysis.tables.in_words import ranged
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.analysis.tables.typed import records_of
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from scalinglab.analysis.decisions.approaches import Approaches
    from scalinglab.analysis.fitting.result import Result
    from scalinglab.analysis.judgement.laws_compared import LawsCompared
    from scalinglab.analysis.judgement.multiverse import Multiverse
    from scalinglab.analysis.reporting.outlook import Outlook

_SAME_BUDGET = 0.1  # gap in log C between two compute budgets
# How columns are written that are not told best by three or four digits.


@dataclass(frozen=True)
class Answer:
    """Everything a report says about a study.

    Attributes
    ----------
    study, question : str
    outputs : Path
    runs : DataFrame
        From ``analysis.load``, all roles; with a column `arm` where arms are compared.
    law : Result
        Fitted to the runs with the role "fit".
    held_out : DataFrame
        One row a held-out run: ``run_id, N, D, loss, predicted, lower, upper, error`` (predicted
        over measured, minus one), ``covered`` (NaN without an interval) and ``impossible``, the
        share of the resamples that predict what no loss can be.
    allocation : Allocation or None
        N*, D* for the study's budgets; None if it names none.
    curves : DataFrame
        Curves of the runs with the role "curve", `loss` where validation was measured.
    curve_law : Result or None
        Fitted to the schedules that were not held out.
    curve_check : DataFrame
        One row a held-out curve: ``run, schedule, points, r2, mae, final, predicted, error``.
    unfinished : dict
        State -> number of runs of the plan that left no record.
    machines : DataFrame
        Where the runs happened, with versions.
    outlook : Outlook or None
        Forecasts of what has not ended, how forecasts did, and the comparison of arms.
    approaches : Approaches or None
        The split in other ways; None where the runs give none but the surface's.
    multiverse : Multiverse or None
        N* for the largest budget under every choice, if asked for.
    laws : LawsCompared or None
        What laws predict of budgets that they have not seen, if asked for.
    arm : str or None
        The setting that tells the compared arms apart.
    """

    study: str
    question: str
    outputs: Path
    runs: pd.DataFrame
    law: Result
    held_out: pd.DataFrame
    allocation: Allocation | None
    curves: pd.DataFrame
    curve_law: Result | None
    curve_check: pd.DataFrame
    unfinished: dict[str, int]
    machines: pd.DataFrame
    outlook: Outlook | None = None
    approaches: Approaches | None = None
    multiverse: Multiverse | None = None
    arm: str | None = None
    laws: LawsCompared | None = None

    @property
    def counted(self) -> str:
        """What C and N are; how N of imported runs was counted may not be known."""
        how = self.law.settings["counted"].get("N")
        return "C = 6 N D" + (f", N = {how}" if how else "")

    def text(self) -> str:
        """The answer in words and numbers."""
        parts = [self.question, self.law.report(), *self.sentences()]
        return "\n\n".join(parts)

    def headline(self) -> str:
        """The answer in one sentence: the comparison, the best split, or the law's exponents."""
        if self.outlook is not None and self.outlook.arms is not None:
            return f"{paired(self.outlook.arms)}."
        if self.allocation is None:
            return self._exponents().partition(". ")[0].rstrip(".") + "."
        rows = records_of(self.allocation.table)
        measured = with_role(self.runs, "fit")["C"].max()
        inside = [r for r in rows if r["inside"] and r["C"] <= measured]
        row = (inside or rows)[-1]
        return (
            f"With C = {power(row['C'])} FLOPs the best model has N* = {ranged(row, 'N', short)}"
            f" parameters and is trained on D* = {ranged(row, 'D', short)} tokens; "
            f"{growth_in_words(self.allocation.exponents)}"
            + ("." if inside else ". This budget is beyond the runs: the answer is the law's.")
        )

    def beside_headline(self) -> list[str]:
        """What a page says next to its headline, figures and tables, which hold the other numbers."""
        sentences = [
            self.multiverse.sentence() if self.multiverse else "",
            self._tested(),
            self._points(),
            self._exponents() if self.allocation is not None else "",
        ]
        return [sentence for sentence in sentences if sentence]

    def _tested(self) -> str:
        """How well held-out runs were predicted, in one sentence; their table has each."""
        if self.held_out.empty:
            return "No run was held out: how far the law extrapolates is not tested."
        error, count = self.held_out["error"], len(self.held_out)
        runs = "1 held-out run was" if count == 1 else f"{count} held-out runs were"
        covered = self.held_out["covered"].dropna()
        inside = (
            ""
            if covered.empty
            else f"; {int(covered.sum())} of {len(covered)} lie within their intervals"
        )
        return (
            f"{runs} predicted with a mean error of {error.abs().mean():.2%} of the loss{inside}."
        )

    def sentences(self) -> list[str]:
        """What was found, the answer first: one sentence or two a finding."""
        sentences = [
            self._split(),
            self.multiverse.sentence() if self.multiverse else "",
            self._extrapolation(),
            self.laws.sentence() if self.laws else "",
            self._points(),
            self._exponents(),
            self._schedules(),
        ]
        ahead = [] if self.outlook is None else self.outlook.sentences()
        return [sentence for sentence in (*sentences, *ahead) if sentence]

    def _points(self) -> str:
        fitted = with_role(self.runs, "fit")
        missing = ", ".join(f"{n} {state}" for state, n in self.unfinished.items())
        diverged = (self.runs["status"] == State.DIVERGED).sum()
        swept = (self.runs["role"] == "sweep").sum()
        return (
            f"{_design_in_words(fitted)} were fitted: N {fitted['N'].min():,.0f} to "
            f"{fitted['N'].max():,.0f}, D {fitted['D'].min():,.0f} to {fitted['D'].max():,.0f}."
            + (f" {diverged} diverged runs are left out." if diverged else "")
            + (
                f" {swept} runs with the role sweep are left out: answer.kind=tune evaluates them."
                if swept
                else ""
            )
            + (f" Not finished: {missing}." if missing else "")
        )

    def _exponents(self) -> str:
        law = self.law.law
        told = (*law.parameters_with_role("exponent"), *law.parameters_with_role("floor"))
        if not told:
            return ""
        ends = self.law.summary[["lower", "upper"]]
        named, known = [], bool(ends.notna().all(axis=None))
        for name in told:
            low, high = ends.loc[name]
            if name in self.law.diagnosis.unidentified:
                named.append(f"{name} is not identified by these runs")
            else:
                between = f" ({low:.3f} to {high:.3f})" if known else ""
                named.append(f"{name} = {self.law.params[name]:.3f}{between}")
        intervals = (
            f"Intervals are {self.law.settings['level']:.0%}."
            if known
            else "There are no intervals."
        )
        return f"Fitted law: {'; '.join(named)}. {intervals}"

    def _extrapolation(self) -> str:
        if self.held_out.empty:
            return ""
        rows = [
            f"- N {r['N']:,.0f}, D {r['D']:,.0f}: predicted {ranged(r, 'predicted', '.4f')}, "
            f"measured {r['loss']:.4f}, error {r['error']:+.2%}"
            for r in records_of(
                self.held_out.rename(
                    columns={"lower": "predicted_lower", "upper": "predicted_upper"}
                )
            )
        ]
        wider = (
            f", intervals {calibration_in_words(self.law.calibration_factor)}"
            if self.law.calibration_factor > 1
            else ""
        )
        share = 0.0 if self.law.settings["withheld"] else float(self.held_out["impossible"].max())
        lost = missing_draws_in_words(share, self.law.settings["level"], IMPOSSIBLE)
        return "\n".join([f"Held-out runs, not fitted{wider}:", *rows, *([lost] if lost else [])])

    def _split(self) -> str:
        if self.allocation is None:
            return ""
        rows = [
            f"- C = {r['C']:.3g} FLOPs: N* = {ranged(r, 'N')}, D* = {ranged(r, 'D')}, "
            f"{ranged(r, 'tokens_per_parameter')} tokens per parameter, loss "
            f"{ranged(r, 'loss', '.3f')}" + ("" if r["inside"] else ", outside the measured range")
            for r in records_of(self.allocation.table)
        ]
        grown = growth_in_words(self.allocation.exponents)
        wider = calibration_in_words(self.allocation.calibration_factor)
        title = f"How to split a budget ({self.counted}): {grown}." + (
            f" Intervals of the loss are {wider}." if wider else ""
        )
        return "\n".join([title, *rows])

    def _schedules(self) -> str:
        if self.curve_law is None:
            return ""
        rows = [
            f"- {r.schedule}: R² {r.r2:.4f}, final loss {r.predicted:.4f} for {r.final:.4f} "
            f"measured ({r.error:+.2%})"
            for r in self.curve_check.itertuples()
        ]
        used = sorted(set(self.curves["schedule"]) - set(self.curve_check["schedule"]))
        return "\n".join([f"The curve law, fitted on {' and '.join(used)}, predicts:", *rows])


def _design_in_words(fitted: pd.DataFrame) -> str:
    """How many runs, and at how many compute budgets, or sizes and token budgets."""
    sizes, lengths = fitted["N"].nunique(), fitted["D"].nunique()
    budgets = 1 + int((np.diff(np.sort(np.log(fitted["C"]))) > _SAME_BUDGET).sum())
    if 1 < budgets < min(sizes, lengths):
        return f"{len(fitted)} runs at {budgets} compute budgets"
    return f"{len(fitted)} runs of {sizes} sizes and {lengths} token budgets"
