"""From the records of a study to its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.settings import arm_values
from scalinglab.analysis.decisions.allocation import allocate
from scalinglab.analysis.decisions.approaches import other_approaches
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.law_choice import times_beyond
from scalinglab.analysis.forecasts.track import calibrated
from scalinglab.analysis.intervals.spread import inside_interval
from scalinglab.analysis.judgement.accuracy import scores
from scalinglab.analysis.judgement.laws_compared import laws_compared
from scalinglab.analysis.judgement.multiverse import answer_multiverse
from scalinglab.analysis.reporting.answer import Answer
from scalinglab.analysis.reporting.outlook import build_outlook
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.runs import FLOPS, load
from scalinglab.analysis.tables.study_runs import require, study_plan, with_role
from scalinglab.scaling.records.plan_file import AnswerConfig, PlanFile
from scalinglab.scaling.records.run_folder import RunFolder
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
) -> Answer:
    """Answer a study from its records; with `multiverse` under every choice, some fifty fits more,
    with `laws` beside what other laws predict of budgets that they have not seen.

    `arm` names a setting (``optimizer.name``) whose values are compared; `between`, which two.
    With `calibrate`, intervals of losses are as wide as the record of earlier forecasts says.
    `loss` is a measured column that is taken as the loss, as in `analysis.load`.

    Raises
    ------
    UserError
        If the study does not exist or has too few finished runs to fit its law, or their losses
        were measured on different validation sets.
    """
    plan = study_plan(outputs, study)
    wanted = plan.study.answer
    runs = load(outputs, study=study, flops=FLOPS, loss=loss)
    fitted = require(with_role(runs, "fit"), outputs, study, "fit")
    how: dict[str, Any] = {
        "resamples": resamples,
        "seed": seed,
        "delta": wanted.delta,
        "mix_fingerprints": mix_fingerprints,
    }
    beyond = times_beyond(fitted, wanted.budgets)
    law = fit(wanted.law, fitted, beyond=beyond, **how)
    if calibrate:
        law = calibrated(law, outputs, study)
    curves, curve_law, curve_check = _curves(outputs, runs, wanted, loss, **how)
    return Answer(
        study=study,
        question=plan.study.question,
        outputs=Path(outputs),
        runs=runs if arm is None else runs.assign(**{arm: arm_values(outputs, runs, arm)}),
        law=law,
        held_out=_held_out(law, with_role(runs, "held_out")),
        allocation=allocate(law, wanted.budgets) if wanted.budgets else None,
        curves=curves,
        curve_law=curve_law,
        curve_check=curve_check,
        unfinished=_unfinished(Path(outputs), plan, runs),
        machines=_machines(Path(outputs), runs),
        outlook=build_outlook(
            outputs,
            study,
            arm=arm,
            between=between,
            resamples=resamples,
            seed=seed,
            calibrate=calibrate,
            loss=loss,
        ),
        approaches=other_approaches(law, fitted, wanted.budgets),
        multiverse=answer_multiverse(outputs, study, wanted, mix_fingerprints, loss)
        if multiverse
        else None,
        arm=arm,
        laws=laws_compared(
            fitted,
            wanted.law,
            delta=wanted.delta,
            beyond=beyond,
            mix_fingerprints=mix_fingerprints,
        )
        if laws
        else None,
    )


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


def _curves(
    outputs: str | Path,
    runs: pd.DataFrame,
    wanted: AnswerConfig,
    loss: str | None,
    **options: Any,
) -> tuple[pd.DataFrame, Result | None, pd.DataFrame]:
    """Fit the curve law to all schedules but the held-out one, and predict that one.

    `options` are those of the fit.
    """
    ids = with_role(runs[runs["status"] == State.DONE], "curve")["run_id"]
    curves = load_curves(outputs, run_ids=ids, loss=loss)
    held_out = curves["schedule"] == wanted.curve_held_out if len(ids) else pd.Series(dtype=bool)
    if not len(ids) or held_out.all() or not held_out.any():
        return curves, None, pd.DataFrame()
    # All have the same initial weights and data: what varies is within the curves.
    curves = curves.drop(columns="cluster")
    law = fit(wanted.curve_law, curves[~held_out], **options)
    checks = [_check_curve(law, curve) for _, curve in curves[held_out].groupby("run")]
    return curves, law, pd.DataFrame(checks)


def _check_curve(law: Result, curve: pd.DataFrame) -> dict[str, Any]:
    predicted = law.predict(curve)["loss"]
    found = scores(curve["loss"], predicted)
    last = curve["loss"].last_valid_index()
    return {
        "run": curve["run"].iloc[0],
        "schedule": curve["schedule"].iloc[0],
        **{k: found[k] for k in ("points", "r2", "mae")},
        "final": curve["loss"][last],
        "predicted": predicted[last],
        "error": predicted[last] / curve["loss"][last] - 1,
    }


def _unfinished(outputs: Path, plan: PlanFile, runs: pd.DataFrame) -> dict[str, int]:
    left = {r.run_id for r in plan.runs} - set(runs["run_id"])
    return dict(Counter(RunFolder(outputs / "runs" / run_id).state() for run_id in left))


def _machines(outputs: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Distinct machines and versions with the number of runs made there."""
    rows = []
    for run_id in runs["run_id"]:
        folder = RunFolder(outputs / "runs" / run_id)
        if folder.done() is None:  # imported
            continue
        record = folder.record()
        place = record.machine
        rows.append(
            {
                "processor": place.processor,
                "device": place.device,
                "engine": place.engine,
                **record.versions,
                "code": record.code.commit or "unknown",
                "fingerprint": record.code.fingerprint,
            }
        )
    frame = pd.DataFrame(rows)
    if frame.empty:
        return frame
    return frame.groupby(list(frame), dropna=False).size().rename("runs").reset_index()
