"""The curves of a study: one law for all schedules but the held-out one, which it predicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.judgement.accuracy import scores
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.scaling.records.plan_file import AnswerConfig
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result

_CHANCE = 0.11  # how often, at most, a law that is right is said to have failed
_FEW = 6  # held-out curves that are named one by one


@dataclass(frozen=True, eq=False)
class StudyCurves:
    """The curves of the runs with the role "curve", and what their law predicts.

    Attributes
    ----------
    curves : DataFrame
        With `loss` at the steps that were validated.
    law : Result or None
        Fitted to the schedules that were not held out; None if no schedule is held out or no other
        is left.
    check : DataFrame
        One row per held-out curve: ``run, schedule, points, r2, mae, final, predicted, error``,
        and the ``lower`` and ``upper`` end of the interval that `predicted` has for a run, if the
        fit has resamples.
    """

    curves: pd.DataFrame
    law: Result | None = None
    check: pd.DataFrame = field(default_factory=pd.DataFrame)


def load_study_curves(outputs: str | Path, runs: pd.DataFrame, loss: str | None) -> StudyCurves:
    """The curves of the finished runs with the role "curve", without a law.

    Parameters
    ----------
    outputs : path
    runs : DataFrame
        From `analysis.load`.
    loss : str, optional
        As in `analysis.load`.
    """
    ids = with_role(runs[runs["status"] == State.DONE], "curve")["run_id"]
    return StudyCurves(load_curves(outputs, run_ids=ids, loss=loss))


def with_curve_law(study: StudyCurves, answer: AnswerConfig, **fit_options: Any) -> StudyCurves:
    """Fit the curve law to all schedules but the held-out one, and predict that one.

    Parameters
    ----------
    study : StudyCurves
    answer : AnswerConfig
        Names the law and the schedule that is held out.
    **fit_options
        As in `analysis.fit`.

    Raises
    ------
    TooFewPoints
        If the curves do not determine the law.
    """
    is_held_out = study.curves["schedule"] == answer.curve_held_out
    if is_held_out.all() or not is_held_out.any():
        return study
    # All curves have the same initial weights and data: as one cluster they could not be resampled.
    curves = study.curves.drop(columns="cluster")
    law = fit(answer.curve_law, curves[~is_held_out], **fit_options)
    checks = [_check_curve(law, curve) for _, curve in curves[is_held_out].groupby("run")]
    return StudyCurves(curves, law, pd.DataFrame(checks))


def _check_curve(law: Result, curve: pd.DataFrame) -> dict[str, Any]:
    level = law.settings["level"] if len(law.draws) else None
    prediction = law.predict(curve, level=level)
    predicted = prediction["loss"]
    fit_scores = scores(curve["loss"], predicted)
    last = curve["loss"].last_valid_index()
    ends = {} if level is None else {end: prediction[end][last] for end in ("lower", "upper")}
    return {
        "run": curve["run"].iloc[0],
        "schedule": curve["schedule"].iloc[0],
        **{k: fit_scores[k] for k in ("points", "r2", "mae")},
        "final": curve["loss"][last],
        "predicted": predicted[last],
        "error": predicted[last] / curve["loss"][last] - 1,
        **ends,
    }


def missed_in_words(check: pd.DataFrame, level: float) -> str:
    """Which held-out curves ended outside the law's intervals; empty where chance explains them.

    A law that is right has so many misses, or more, with the probability of a binomial tail.

    Parameters
    ----------
    check : DataFrame
        As in `StudyCurves`.
    level : float
        Of the intervals.
    """
    missed = check[_missed(check)]
    from scipy.special import bdtrc  # takes .2 s to load

    if not len(missed) or bdtrc(len(missed) - 1, len(check), 1 - level) > _CHANCE:
        return ""
    return (
        f"The curve law failed its held-out test ({_errors(missed, len(check))}, outside its"
        f" {level:.0%} interval): choose no schedule by it."
    )


def predictions_in_words(check: pd.DataFrame, level: float) -> list[str]:
    """A line a held-out curve on what the law predicts, and whether it was outside its interval; a
    line a schedule where they are many.
    """
    if len(check) <= _FEW:
        return [
            f"- {r.schedule}: R² {r.r2:.4f}, final loss {r.predicted:.4f} for {r.final:.4f} "
            f"measured ({r.error:+.2%}{f', outside its {level:.0%} interval' if is_missed else ''})"
            for r, is_missed in zip(check.itertuples(), _missed(check), strict=True)
        ]
    return [
        f"- {schedule}: R² {_range(curves['r2'])}, final loss of {_errors(curves, len(curves))}"
        for schedule, curves in check.groupby("schedule", sort=False)
    ]


def verdict_below_predictions(check: pd.DataFrame, level: float) -> str:
    """`missed_in_words` below `predictions_in_words`, whose errors it does not repeat."""
    failed = missed_in_words(check, level)
    if not failed or len(check) > _FEW:
        return failed
    return "It failed this held-out test: choose no schedule by it."


def _missed(check: pd.DataFrame) -> pd.Series:
    """Which held-out curves ended outside the law's intervals; none where there are none."""
    if not {"lower", "upper"} <= set(check):
        return pd.Series(False, index=check.index)
    return (check["final"] < check["lower"]) | (check["final"] > check["upper"])


def _range(values: pd.Series) -> str:
    """The least and the largest, once if they look alike."""
    low, high = f"{values.min():.4f}", f"{values.max():.4f}"
    return low if low == high else f"{low} to {high}"


def _errors(curves: pd.DataFrame, count: int) -> str:
    """Errors of the final loss of some of `count` held-out curves: each, or their range."""
    if len(curves) <= _FEW:
        return ", ".join(f"{r.schedule} {r.error:+.2%}" for r in curves.itertuples())
    error = curves["error"]
    share = f"{count} curves" if len(curves) == count else f"{len(curves)} of {count} curves"
    return f"{share}: errors {error.min():+.2%} to {error.max():+.2%}, mean {error.mean():+.2%}"
