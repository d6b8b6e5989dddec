"""The parts of an answer beyond its law: forecasts, their track record, two arms compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.analysis.arms.compare_arms import compare_arms
from scalinglab.analysis.arms.crossover import crossover
from scalinglab.analysis.arms.sentences import at_scale, paired, worth
from scalinglab.analysis.arms.settings import arm_settings, runs_by_arm
from scalinglab.analysis.arms.splits import split_lines, with_splits
from scalinglab.analysis.forecasts.forecast_study import forecast_study
from scalinglab.analysis.forecasts.norms import norm_warnings, unfinished_norms
from scalinglab.analysis.forecasts.track import calibration_factor, sentence, track_record
from scalinglab.analysis.intervals.spread import interval_in_words
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.study_runs import study_plan
from scalinglab.analysis.tables.typed import records_of

if TYPE_CHECKING:
    from scalinglab.analysis.arms.comparison import ArmComparison

_FORECASTS = 200  # resamples of a forecast, which takes one fit for every size


@dataclass(frozen=True)
class Outlook:
    """Forecasts of a study, their record, and the comparison of its arms.

    Attributes
    ----------
    forecasts : DataFrame
        From `analysis.forecast_study`; empty if every run has ended.
    calibration_factor : float
        The factor by which the record widened their intervals.
    track : DataFrame
        From `scalinglab.analysis.forecasts.track.track_record`, of this study.
    record : DataFrame
        The same of all studies in the folder, from which the factor comes if the study's own record
        is too short.
    arms : ArmComparison or None
    level : float
    norms : DataFrame
        From `scalinglab.analysis.forecasts.norms.predicted_norms`, of the runs that have not ended.
    """

    forecasts: pd.DataFrame
    calibration_factor: float
    track: pd.DataFrame
    record: pd.DataFrame
    arms: ArmComparison | None
    level: float
    norms: pd.DataFrame = field(default_factory=pd.DataFrame)

    def sentences(self) -> list[str]:
        """One paragraph for each part that has something to say."""
        sentences = []
        with_forecast = self.forecasts[self.forecasts["loss"].notna()]
        if len(with_forecast):
            rows = [
                f"- N {short(r['N'])}, D {short(r['D'])} ({r['schedule']}, seed {r['seed']},"
                f" {r['share']:.0%} of its curve known): {r['loss']:.4f}"
                + (interval_in_words(r["lower"], r["upper"]) or f", without interval: {r['note']}")
                for r in with_forecast.head(8).to_dict("records")
            ]
            more = [f"- and {len(with_forecast) - 8} more"] if len(with_forecast) > 8 else []
            sentences.append("\n".join(["Forecasts of unfinished runs:", *rows, *more]))
        if len(self.track):
            sentences.append(sentence(self.record, self.level))
        if len(self.norms):
            sentences += norm_warnings(self.norms)
        if self.arms is not None:
            a, b = self.arms.arms
            lines = [f"{b} against {a}: {paired(self.arms)}."]
            if self.arms.result is not None:
                lines[0] += " With one law per arm (the law above is fitted to all arms together):"
                lines += [f"- {at_scale(r, self.arms.arms)}" for r in records_of(self.arms.scales)]
                lines.append(f"- {crossover(self.arms)}")
                if splits := split_lines(self.arms):
                    lines += ["Best split of a budget for each recipe:"]
                    lines += [f"- {text}" for text in splits]
                title, *rows = worth(self.arms)
                lines += [
                    f"Compute multiplier: compute of {a} over that of {b} at equal loss. {title}"
                ]
                lines += [f"- {row}" for row in rows]
            sentences.append("\n".join(lines))
        return sentences


def build_outlook(
    outputs: str | Path,
    study: str,
    *,
    arm: str | None = None,
    between: Sequence[str] = (),
    resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    calibrate: bool = True,
    loss: str | None = None,
    exclude: Sequence[str] = (),
    budgets: Sequence[float] = (),
) -> Outlook:
    """Forecast unfinished runs, read their track record, and compare arms if a setting is named.

    Forecasts are of the loss on a run's own validation set; `loss` is the column in which arms are
    compared, and `exclude` leaves out runs of the comparison. `resamples` are those of the
    comparison of arms; forecasts use fewer. `budgets` are those whose best splits are told for each
    arm, beside those of the comparison.

    Raises
    ------
    UserError
        If the study does not exist, or its arms cannot be compared.
    """
    record = track_record(outputs)
    factor = calibration_factor(outputs, study, level) if calibrate else 1.0
    forecasts = forecast_study(
        outputs, study, level=level, resamples=_FORECASTS, seed=seed, calibration_factor=factor
    )
    arms = None
    if arm is not None:
        arms = _arms(
            outputs,
            study,
            arm,
            between,
            loss,
            resamples=resamples,
            seed=seed,
            level=level,
            exclude=exclude,
        )
        arms = with_splits(arms, budgets) if budgets else arms
    own, norms = record[record["study"] == study], unfinished_norms(outputs, study)
    return Outlook(forecasts, factor, own, record, arms, level, norms)


def _arms(
    outputs: str | Path,
    study: str,
    arm: str,
    between: Sequence[str],
    loss: str | None,
    **options: Any,
) -> ArmComparison:
    runs = runs_by_arm(outputs, [study], arm, loss=loss)
    names = list(between) or sorted(runs["arm"].astype(str).unique())
    settings = arm_settings(outputs, runs, names, arm) if len(names) == 2 else None
    return compare_arms(
        runs,
        between=between or None,
        differences=settings,
        delta=study_plan(outputs, study).study.answer.delta,
        **options,
    )
