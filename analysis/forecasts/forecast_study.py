"""Forecasts of all unfinished runs of a study, and which of them can no longer matter."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.law_choice import times_beyond
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.forecasts.forecast_run import Basis, fit_basis
from scalinglab.analysis.forecasts.unfinished import unfinished_runs
from scalinglab.analysis.intervals.spread import IMPOSSIBLE, missing_draws_in_words, scaled_interval
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.runs import FLOPS, load
from scalinglab.analysis.tables.study_runs import study_plan
from scalinglab.analysis.tables.validation_sets import SET, as_loss
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.identity import without
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State

COLUMNS = (
    "run_id",
    "role",
    "state",
    "N",
    "D",
    "schedule",
    "seed",
    "step",
    "steps",
    "share",
    "loss",
    "lower",
    "upper",
    "beyond",
    "law",
    "note",
)


def forecast_study(
    outputs: str | Path,
    study: str,
    *,
    law: str | None = None,
    column: str | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
    calibration_factor: float = 1.0,
) -> pd.DataFrame:
    """Forecast every unfinished run of a study.

    The forecast comes from the law of curves and the run's own curve if the curves of the study
    allow it, otherwise from the study's law of the final loss at its N and D.

    Parameters
    ----------
    outputs, study
        Where the study lies.
    law : str, optional
        A law of curves; default as in `analysis.forecast_run`.
    column : str, optional
        A measured column that is taken as the loss, at the steps where it was measured.
    level, resamples, seed, calibration_factor
        As in `analysis.forecast_run`.

    Returns
    -------
    DataFrame
        One row per run: ``run_id, role, state, N, D, schedule, seed, step, steps, share`` (of the
        curve that is known), ``loss, lower, upper, beyond`` (1 inside what was measured), ``law``,
        and ``note``, why there is no forecast or no interval where there is none.

    Raises
    ------
    UserError
        If there is no such study or column, or the law is no law of curves.
    """
    plan = study_plan(outputs, study)
    if column is not None:
        load(outputs, study=study, loss=column)  # refuses one that no run has
    waiting = unfinished_runs(outputs, study, column)
    options = {"law": law, "level": level, "resamples": resamples, "seed": seed}
    options["delta"] = plan.study.answer.delta

    @functools.cache
    def surface() -> Result | str:
        budget = (6 * waiting["N"] * waiting["D"]).max()
        return _surface(outputs, study, plan.study.answer.law, column, budget, options)

    lacking = "no run has ended" if column is None else f"no curve of {column} has ended"
    ended = _ended_curves(outputs, study, column)
    table = _forecasts(ended, waiting, options, surface, lacking)
    table["lower"], table["upper"] = scaled_interval(
        table["lower"].to_numpy(float), table["upper"].to_numpy(float), calibration_factor, RELATIVE
    )
    return table


def forecast_curves(
    curves: pd.DataFrame,
    *,
    law: str | None = None,
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
    delta: float | str | None = None,
) -> pd.DataFrame:
    """Forecast every run of a table of curves whose last step has no loss yet.

    Parameters
    ----------
    curves : DataFrame
        ``run, step, lr`` at every step that is trained or planned, ``loss`` where it was measured,
        and ``N`` where sizes differ.
    law, level, resamples, seed, delta
        As in `analysis.forecast_run`.

    Returns
    -------
    DataFrame
        As of `forecast_study`.

    Raises
    ------
    UserError
        If every run has its last loss, or the law is no law of curves.
    """
    curves = curves.sort_values(["run", "step"], kind="stable")
    ended = curves.groupby("run", sort=False)["loss"].transform(lambda loss: loss.notna().iloc[-1])
    if ended.all():
        raise UserError(
            "every run has its final loss: a run is forecast whose rows go on, with a learning"
            " rate and an empty loss, to its last planned step"
        )
    options = {"law": law, "level": level, "resamples": resamples, "seed": seed, "delta": delta}
    return _forecasts(curves[ended], curves[~ended], options, lambda: "")


def _ended_curves(outputs: str | Path, study: str, column: str | None) -> pd.DataFrame:
    curves = load_curves(outputs, study=study)
    if curves.empty:
        return curves
    if column is not None and (column not in curves or curves[column].isna().all()):
        return curves.iloc[:0]  # measured at the ends alone: the law of these is asked
    curves = as_loss(curves[curves["status"] == State.DONE], column)
    return curves[["run", "step", "lr", "loss", "N", *([SET] if SET in curves else [])]]


def _forecasts(
    curves: pd.DataFrame,
    waiting: pd.DataFrame,
    options: dict[str, Any],
    surface: Callable[[], Result | str],
    lacking: str = "no run has ended",
) -> pd.DataFrame:
    """A row a run: from curves that ended where they allow it, else from a law of final losses.

    `lacking` says that there are no curves.
    """
    bases: dict[float | None, Basis | str] = {}
    rows = []
    for _, target in waiting.groupby("run", sort=False):
        target = target.reset_index(drop=True)
        size = float(target["N"].iloc[0]) if "N" in target else None
        if size not in bases:
            bases[size] = lacking if curves.empty else _basis(curves, target, options)
        row = _about(target)
        try:
            basis = bases[size]
            if isinstance(basis, str):
                raise UserError(basis)
            row |= _from_curves(basis, target)
        except UserError as error:
            row |= _from_surface(surface(), target, options["level"], str(error))
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _basis(curves: pd.DataFrame, target: pd.DataFrame, options: dict[str, Any]) -> Basis | str:
    """The basis of the forecasts of a size, or why there is none."""
    try:
        return fit_basis(curves, target, **options)
    except UserError as error:
        if options["law"] is not None:
            raise
        return str(error)


def _about(target: pd.DataFrame) -> dict[str, Any]:
    first = target.iloc[0]
    known_steps = target.loc[target["loss"].notna(), "step"]
    steps = int(target["step"].max())
    step = int(known_steps.max()) if len(known_steps) else 0
    return {
        "run_id": first["run"],
        **{name: first.get(name, "") for name in ("role", "state", "schedule", "seed")},
        **{name: first.get(name, np.nan) for name in ("N", "D")},
        "step": step,
        "steps": steps,
        "share": step / steps,
        "note": "",
    }


def _from_curves(basis: Basis, target: pd.DataFrame) -> dict[str, Any]:
    forecast = basis.forecast(target)
    names = ("loss", "lower", "upper", "beyond", "note")
    return {name: getattr(forecast, name) for name in names} | {"law": basis.law.law.name}


def _surface(
    outputs: str | Path,
    study: str,
    law: str,
    column: str | None,
    budget: float,
    options: dict[str, Any],
) -> Result | str:
    try:
        runs = load(outputs, study=study, role="fit", flops=FLOPS, loss=column)
        fit_options = {name: options[name] for name in ("resamples", "seed", "delta")}
        return fit(
            law, runs, beyond=times_beyond(runs, [budget]), exclude=["unmeasured"], **fit_options
        )
    except UserError as error:
        return str(error)


def _from_surface(
    law: Result | str, target: pd.DataFrame, level: float, reason: str
) -> dict[str, Any]:
    """The law of the final loss at the run's N and D, or why that gives no forecast either.

    A file of curves has no such law, and no reason.
    """
    nothing = dict.fromkeys(("loss", "lower", "upper", "beyond"), np.nan)
    if isinstance(law, str):
        return nothing | {"law": "", "note": "; ".join(filter(None, dict.fromkeys((reason, law))))}
    end = target.iloc[-1:].assign(C=6 * target["N"] * target["D"])
    try:
        prediction = law.predict(end, level).iloc[0]
    except UserError as error:
        return nothing | {"law": "", "note": f"{reason}; {error}"}
    middle, half = (
        RELATIVE.of(prediction["loss"]),
        np.log(prediction["upper"] / prediction["lower"]) / 2,
    )
    doubtful = law.settings["withheld"] or missing_draws_in_words(
        prediction["impossible"], level, IMPOSSIBLE
    )
    return {
        "loss": prediction["loss"],
        "lower": float(np.exp(middle - half)),
        "upper": float(np.exp(middle + half)),
        "beyond": prediction["beyond"],
        "law": law.law.name,
        "note": doubtful,
    }


def cannot_matter(
    outputs: str | Path, forecasts: pd.DataFrame, runs: pd.DataFrame, margin: float = 0.0
) -> pd.DataFrame:
    """Runs that cannot become the best of their N and D: the rule of ``stop=true``.

    That is so if the lower end of a run's interval lies above the loss that another configuration
    has reached there. Seeds of the best configuration are kept, as they measure the noise.

    Parameters
    ----------
    outputs : path
    forecasts : DataFrame
        From `forecast_study`.
    runs : DataFrame
        From `analysis.load`, of the same study.
    margin : float
        Share of the loss by which it must lie above.

    Returns
    -------
    DataFrame
        The rows of `forecasts` that meet the rule, with ``better`` (a run) and ``better_loss``.
    """
    finished = runs[(runs["status"] == State.DONE) & runs["loss"].notna()]
    rows = []
    for row in forecasts.to_dict("records"):
        rivals = finished[(finished["N"] == row["N"]) & (finished["D"] == row["D"])].sort_values(
            "loss"
        )
        if rivals.empty or not row["lower"] > (1 + margin) * rivals["loss"].iloc[0]:
            continue
        best = rivals.iloc[0]
        if _setting(outputs, row["run_id"]) != _setting(outputs, best["run_id"]):
            rows.append(row | {"better": best["run_id"], "better_loss": best["loss"]})
    return pd.DataFrame(rows, columns=[*forecasts.columns, "better", "better_loss"])


def _setting(outputs: str | Path, run_id: str) -> dict[str, Any]:
    """A run's science without its seeds."""
    science = RunFolder(Path(outputs) / "runs" / run_id).settings().science
    return without(science, ("seed", "data.seed"))
