"""Forecasts of the final losses of unfinished runs, and the track record of earlier forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scalinglab import analysis
from scalinglab.analysis.forecasts import track as record
from scalinglab.analysis.forecasts.forecast_study import cannot_matter
from scalinglab.analysis.intervals.spread import calibration_in_words
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.options import LEVEL, RESAMPLES, IntervalOptions, option
from scalinglab.run_options import LossOptions
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within
from scalinglab.scaling.records.atomic import server_time
from scalinglab.scaling.records.state import State
from scalinglab.show_forecasts import forecasts_frame
from scalinglab.source import FileSource, StudySource
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.sweeps.watch.early_stopping import stop_run

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class ForecastOptions(IntervalOptions, LossOptions):
    """Options of a forecast."""

    law: str | None = option("a law of curves; default: that of the study", None)
    resamples: int = option("bootstrap refits for the intervals", 200, RESAMPLES)
    keep: bool = option("keep the forecasts, so that scaling track can judge them", True)
    widen: bool = option("widen intervals by how wrong earlier forecasts were", True)
    stop: bool = option("stop the runs that cannot become the best at their N and D", False)
    margin: float = option(
        "with stop: by which share of the loss they must be worse", 0.0, Within(0)
    )


@dataclass(frozen=True, repr=False)
class Forecasts(Shown):
    """The forecasts of a study.

    Attributes
    ----------
    study : str
    table : DataFrame
        From `analysis.forecast_study`.
    calibration_factor : float
        Factor by which earlier forecasts widened the intervals.
    kept : int
        Number of forecasts that were not kept before.
    stopped : DataFrame or None
        The runs that were stopped, with the better run of each; None if ``stop`` was not set.
    column : str
        The forecast column.
    """

    study: str
    table: pd.DataFrame
    calibration_factor: float = 1.0
    kept: int = 0
    stopped: pd.DataFrame | None = None
    column: str = "loss"

    @property
    def shown(self) -> Overview:
        """As `Shown`: a row a run that has not ended."""
        if self.table.empty:
            return Overview(f"{self.study}: every run has ended", {})
        what = "final losses" if self.column == "loss" else f"final {self.column}"
        widened = calibration_in_words(self.calibration_factor)
        sentences = [f"Intervals are {widened}."] if widened else []
        final = {"final loss": f"final {self.column}"}
        return Overview(
            f"{self.study}: forecast of {what}",
            {"": forecasts_frame(self.table).rename(columns=final)},
            (*sentences, *self.stopped_lines()),
        )

    def stopped_lines(self) -> list[str]:
        """A sentence for each run that was stopped."""
        if self.stopped is None:
            return []
        return [
            f"{row['run_id']} is stopped: at best {row['lower']:.4f}, and {row['better']} has"
            f" reached {row['better_loss']:.4f}"
            for row in self.stopped.to_dict("records")
        ]


@dataclass(frozen=True, repr=False)
class TrackRecord(Shown):
    """Kept forecasts compared with the measured losses.

    Attributes
    ----------
    table : DataFrame
        From `scalinglab.analysis.forecasts.track.track_record`.
    level : float
        Of the intervals that are judged.
    """

    table: pd.DataFrame
    level: float = 0.95

    @property
    def shown(self) -> Overview:
        """As `Shown`: a row a kept forecast."""
        texts = {"": record.as_texts(self.table)} if len(self.table) else {}
        return Overview(f"{len(self.table)} kept forecasts", texts, (self.sentence(),))

    @property
    def calibration_factor(self) -> float | None:
        """Factor by which the record widens intervals; None while too few forecasts are tested."""
        return record.factor_of_record(self.table, self.level)

    def sentence(self) -> str:
        """The track record in one sentence."""
        return record.sentence(self.table, self.level)


def forecast(source: StudySource, options: ForecastOptions) -> Forecasts:
    """Forecast every run of a study that has not ended.

    Raises
    ------
    UserError
        If there is no such study or column, or the law is no law of curves.
    """
    outputs, study = source.outputs, source.name
    analysis.study_plan(outputs, study)
    if options.margin and not options.stop:
        raise ConfigError(f"margin = {options.margin:g} is for stop=true, which stops runs")
    column = options.loss
    if column is not None and options.stop:
        raise ConfigError(
            f"columns.loss = {column!r}: stop=true judges runs by their own loss; leave one out"
        )
    widens = options.widen and column is None  # earlier forecasts were of the runs' own losses
    factor = record.calibration_factor(outputs, study, options.level) if widens else 1.0
    table = analysis.forecast_study(
        outputs,
        study,
        law=options.law,
        column=column,
        level=options.level,
        resamples=options.resamples,
        seed=options.seed,
        calibration_factor=factor,
    )
    named = table if column is None else table.assign(column=column)
    kept_count = (
        record.remember(outputs, study, named, options.level, factor) if options.keep else 0
    )
    stopped = _stop(source, options, table) if options.stop else None
    return Forecasts(study, table, factor, kept_count, stopped, column or "loss")


def forecast_file(source: FileSource, options: ForecastOptions, unit: str | None) -> Forecasts:
    """Forecast the runs of a file of curves whose last rows have no loss yet.

    Raises
    ------
    UserError
        If the file has no curves, or every run has its final loss.
    """
    if options.stop:
        raise ConfigError("stop=true is for study=NAME: runs of a file are trained elsewhere")
    law = options.law or source.curve_law
    curves = analysis.read_table(source.path, law, columns=options.columns, unit=unit)
    table = analysis.forecast_curves(
        curves,
        law=options.law,
        level=options.level,
        resamples=options.resamples,
        seed=options.seed,
    )
    column = options.columns.get("loss", "loss")
    return Forecasts(source.path, table, column=str(column))


def _stop(source: StudySource, options: ForecastOptions, table: pd.DataFrame) -> pd.DataFrame:
    """Stop the runs that meet the rule."""
    outputs = source.outputs
    runs = analysis.load(outputs, study=source.name)
    needless = cannot_matter(outputs, table, runs, options.margin)
    needless = needless[needless["state"] != State.STOPPED]
    columns = ("step", "steps", "loss", "lower", "upper", "law", "better", "better_loss")
    for row in needless.to_dict("records"):
        why = {key: row[key] for key in columns} | {
            "rule": "cannot become the best of its N and D",
            "margin": options.margin,
            "level": options.level,
            "study": source.name,
            "stopped": server_time(outputs),
        }
        stop_run(outputs, row["run_id"], why)
    return needless


def take_up(source: StudySource, runs: str) -> list[str]:
    """Let stopped runs be trained after all.

    Parameters
    ----------
    source : StudySource
    runs : str
        A selection, as of ``scaling logs runs=``.

    Returns
    -------
    list of str
        Ids of the runs that were stopped and are no more.
    """
    analysis.study_plan(source.outputs, source.name)
    chosen = select(read_plan(source.outputs, source.name).runs, runs)
    stopped = [run.folder for run in chosen if run.folder.stopped() is not None]
    for folder in stopped:
        folder.take_up()
    return [folder.run_id for folder in stopped]


@dataclass(frozen=True, kw_only=True)
class TrackOptions:
    """Options of a track record."""

    level: float = option("confidence level of the intervals that are judged", 0.95, LEVEL)


def track(outputs: Path, study: str | None, options: TrackOptions) -> TrackRecord:
    """Compare the kept forecasts of a study, or of a whole folder, with what was measured.

    Raises
    ------
    UserError
        If there is no such folder or study.
    """
    if study is not None:
        analysis.study_plan(outputs, study)
    return TrackRecord(record.track_record(outputs, study), options.level)
