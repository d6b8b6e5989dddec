"""From the records of a study to its answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.settings import arm_values
from scalinglab.analysis.decisions.allocation import (
    Allocation,
    NoBestSplit,
    allocate,
    budgets_inside,
)
from scalinglab.analysis.decisions.approaches import other_approaches
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.law_choice import times_beyond
from scalinglab.analysis.forecasts.track import calibrated
from scalinglab.analysis.intervals.spread import inside_interval
from scalinglab.analysis.judgement.laws_compared import LawsCompared, laws_compared
from scalinglab.analysis.judgement.study_multiverse import answer_multiverse
from scalinglab.analysis.progress import steps
from scalinglab.analysis.reporting.answer import Answer
from scalinglab.analysis.reporting.left_out_runs import leave_out
from scalinglab.analysis.reporting.outlook import Outlook, build_outlook
from scalinglab.analysis.reporting.reported_runs import RunsWithoutLaw
from scalinglab.analysis.reporting.run_origins import machines_of, unfinished_counts
from scalinglab.analysis.reporting.study_curves import (
    StudyCurves,
    load_study_curves,
    with_curve_law,
)
from scalinglab.analysis.tables.point_checks import TooFewPoints
from scalinglab.analysis.tables.runs import FLOPS, load
from scalinglab.analysis.tables.study_runs import require, study_plan, with_role
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.plan_file import AnswerConfig
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result


def answer_study(
    outputs: str | Path,
    study: str,
    *,
    resamples: int = 1000,
    seed: int = 0,
    mix_fingerprints: bool = False,
    arm: str | None = None,
    between: Sequence[str] = (),
    multiverse: bool = False,
    laws: bool = False,
    calibrate: bool = True,
    loss: str | None = None,
    exclude: Sequence[str] = (),
) -> Answer:
    """Answer a study from its records.

    Parameters
    ----------
    outputs : path
    study : str
    resamples, seed, mix_fingerprints
        As in `analysis.fit`.
    arm : str, optional
        A setting (``optimizer.name``) whose values are compared.
    between : list of str
        Which two of its values are compared; needed if there are more.
    multiverse : bool
        Whether to answer under every analysis choice as well: about fifty more fits.
    laws : bool
        Whether to compare the predictions of other laws for budgets that they were not fitted to.
    calibrate : bool
        Whether to calibrate the intervals of losses by the record of earlier forecasts.
    loss : str, optional
        A measured column to be taken as the loss, as in `analysis.load`.
    exclude : list of str
        Fitted runs to leave out, also of the curves, as in `analysis.fit`; held-out runs stay.

    Raises
    ------
    TooFewPoints
        If the finished runs do not determine the law; `analysis.runs_without_law` shows them.
    UserError
        If the study does not exist or has no finished run to fit, or their losses were measured on
        different validation sets.
    """
    options = study_plan(outputs, study).study.answer
    runs = load(outputs, study=study, flops=FLOPS, loss=loss)
    to_fit = require(with_role(runs, "fit"), outputs, study, "fit")
    runs, left_out = leave_out(runs, exclude)
    fitted = with_role(runs, "fit")
    fit_options: dict[str, Any] = {
        "resamples": resamples,
        "seed": seed,
        "delta": options.delta,
        "mix_fingerprints": mix_fingerprints,
    }
    beyond = times_beyond(fitted, options.budgets)
    unanswered: list[str] = []
    comparison_options = {"delta": options.delta, "mix_fingerprints": mix_fingerprints}
    with steps(6) as begin:
        begin("law")
        law = fit(options.law, to_fit, beyond=beyond, exclude=exclude, **fit_options)
        if calibrate:
            law = calibrated(law, outputs, study)
        begin("law of curves")
        curves = _curves(load_study_curves(outputs, runs, loss), options, fit_options, unanswered)
        begin("forecasts and recipes" if arm else "forecasts")
        outlook = build_outlook(
            outputs,
            study,
            arm=arm,
            between=between,
            resamples=resamples,
            seed=seed,
            calibrate=calibrate,
            loss=loss,
            exclude=exclude,
            budgets=options.budgets,
        )
        budgets = _budgets(law, options.budgets, outlook)
        allocation = _allocation(law, budgets, unanswered)
        begin("other approaches")
        approaches = other_approaches(law, fitted, allocation)
        begin("")  # each law is named
        compared = None
        if laws:
            compared = _laws(fitted, law, beyond, unanswered, **comparison_options)
        begin("")  # each variant is named
        variants = None
        if multiverse:
            variants = answer_multiverse(
                outputs, study, options, mix_fingerprints, loss, exclude, compared
            )
    return Answer(
        **_reported(outputs, study, runs, arm, outlook),
        left_out=left_out,
        law=law,
        held_out=_held_out(law, with_role(runs, "held_out")),
        allocation=allocation,
        budgets_chosen=not options.budgets,
        curves=curves.curves,
        curve_law=curves.law,
        curve_check=curves.check,
        approaches=approaches,
        multiverse=variants,
        laws=compared,
        unanswered=tuple(unanswered),
    )


def runs_without_law(
    outputs: str | Path,
    study: str,
    reason: str,
    *,
    resamples: int = 1000,
    seed: int = 0,
    arm: str | None = None,
    between: Sequence[str] = (),
    calibrate: bool = True,
    loss: str | None = None,
    exclude: Sequence[str] = (),
) -> RunsWithoutLaw:
    """The runs of a study, for a study whose runs do not determine its law.

    Parameters
    ----------
    outputs : path
    study : str
    reason : str
        Why there is no law: the sentence of the `TooFewPoints` that `answer_study` raised.
    resamples, seed, arm, between, calibrate, loss, exclude
        As in `answer_study`, for the forecasts and the comparison of arms.

    Raises
    ------
    UserError
        If the study does not exist or has no finished run to fit.
    """
    runs = load(outputs, study=study, flops=FLOPS, loss=loss)
    require(with_role(runs, "fit"), outputs, study, "fit")
    runs, left_out = leave_out(runs, exclude)
    outlook = build_outlook(
        outputs,
        study,
        arm=arm,
        between=between,
        resamples=resamples,
        seed=seed,
        calibrate=calibrate,
        loss=loss,
        exclude=exclude,
    )
    return RunsWithoutLaw(
        **_reported(outputs, study, runs, arm, outlook),
        left_out=left_out,
        why=reason,
    )


def _reported(
    outputs: str | Path,
    study: str,
    runs: pd.DataFrame,
    arm: str | None,
    outlook: Outlook,
) -> dict[str, Any]:
    """The fields of `ReportedRuns`."""
    plan = study_plan(outputs, study)
    return {
        "study": study,
        "question": plan.study.question or _question(outlook),
        "outputs": Path(outputs),
        "runs": runs if arm is None else runs.assign(**{arm: arm_values(outputs, runs, arm)}),
        "unfinished": unfinished_counts(outputs, plan, runs),
        "machines": machines_of(outputs, runs),
        "outlook": outlook,
        "arm": arm,
    }


def _question(outlook: Outlook) -> str:
    """What is asked of two arms, where the study has no question; empty without arms."""
    if outlook.arms is None:
        return ""
    a, b = outlook.arms.arms
    return f"Is {b} better than {a}?"


def _budgets(law: Result, asked: Sequence[float], outlook: Outlook) -> Sequence[float]:
    """Budgets that one law splits: a law of two recipes together has the split of neither."""
    if outlook.arms is None:
        return asked or _budgets_of(law)
    return asked if outlook.arms.splits.empty else ()


def _budgets_of(law: Result) -> tuple[float, ...]:
    """Budgets of a study that names none: some inside the range of a law in N and D."""
    return budgets_inside(law) if set(law.law.columns) == {"N", "D"} else ()


def _allocation(law: Result, budgets: Sequence[float], unanswered: list[str]) -> Allocation | None:
    if not budgets:
        return None
    try:
        return allocate(law, budgets)
    except NoBestSplit as error:
        unanswered.append(f"No split of the budgets: {error}.")
        return None


def _curves(
    curves: StudyCurves, answer: AnswerConfig, fit_options: dict[str, Any], unanswered: list[str]
) -> StudyCurves:
    try:
        return with_curve_law(curves, answer, **fit_options)
    except TooFewPoints as error:
        unanswered.append(f"No law of curves: {error}.")
        return curves


def _laws(
    runs: pd.DataFrame, law: Result, beyond: float | None, unanswered: list[str], **options: Any
) -> LawsCompared | None:
    try:
        return laws_compared(runs, law, beyond=beyond, **options)
    except UserError as error:
        unanswered.append(f"Laws are not compared: {error}.")
        return None


def _held_out(law: Result, runs: pd.DataFrame) -> pd.DataFrame:
    runs = runs[runs["status"] == State.DONE]
    if runs.empty:
        return pd.DataFrame()
    level = float(law.settings["level"]) if len(law.draws) else None
    predicted = law.predict(runs, level=level)
    table = runs[["run_id", "N", "D", "C", "loss"]].assign(
        predicted=np.asarray(predicted["loss"]), lower=np.nan, upper=np.nan, impossible=0.0
    )
    if level is not None:
        table = table.assign(
            lower=np.asarray(predicted["lower"]),
            upper=np.asarray(predicted["upper"]),
            impossible=np.asarray(predicted["impossible"]),
        )
    table["error"] = table["predicted"] / table["loss"] - 1
    table["covered"] = inside_interval(table["loss"], table)
    return table
