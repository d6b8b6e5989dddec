"""The track record: predictions that were stored before the runs that test them, and outcomes.

    <outputs>/track/<run_id>/<hash>.json    one prediction: when it was made, of what, its interval

A file is created once and holds the hash of its content, so a prediction cannot be changed after
its run has finished. The ratio of each error to the half-width of its interval is the nonconformity
score of split conformal prediction with a scale (Papadopoulos et al. 2008; Lei et al. 2018,
arXiv:1604.04173, section 5.2): intervals widened by the ceil((n + 1) level)-th smallest of n ratios
contain a new measurement with at least that probability, if it is exchangeable with the earlier
ones. Only the first prediction of a run counts.

The factor widens all later intervals of losses: forecasts by `Forecast.calibrated`, fits by
`Result.calibrated`, each with the sentence of
`scalinglab.analysis.intervals.spread.calibration_in_words`. It does not apply to sizes, budgets and
parameters, which no run tests.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scalinglab.analysis.intervals.spread import calibration_in_words, interval_in_words
from scalinglab.analysis.tables.validation_sets import FURTHER_LOSS
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.folder import columns_at
from scalinglab.scaling.probes.probe import COLUMN, TASK
from scalinglab.scaling.records.atomic import create_exclusive, read_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, tell
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.run_end import Done
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.result import Result

VERSION = 1
_NUMBER = (int, float)
_NUMBER_OR_NONE = (*_NUMBER, type(None))
_PREDICTION: Shape = {
    "run_id": str,
    "study": str,
    "made": str,
    "step": int,
    "steps": int,
    "hash": str,
    "loss": _NUMBER,
    "lower": _NUMBER_OR_NONE,
    "upper": _NUMBER_OR_NONE,
    "level": _NUMBER,
    "inflation": _NUMBER,
}
_KEPT = ("run_id", "N", "D", "step", "steps", "loss", "lower", "upper", "beyond", "law")
_COLUMN = "column"  # what is predicted, where that is not the run's own loss
COLUMNS = (
    "run_id",
    "study",
    "made",
    "share",
    "law",
    _COLUMN,
    "loss",
    "lower",
    "upper",
    "level",
    "measured",
    "error",
    "ratio",
    "contained",
    "counts",
    "outcome",
)


def remember(
    outputs: str | Path,
    study: str,
    forecasts: pd.DataFrame,
    level: float,
    calibration_factor: float = 1.0,
) -> int:
    """Store predictions of unfinished runs, each once.

    A prediction without an interval cannot be tested and is not stored.

    Parameters
    ----------
    outputs, study
        Where the runs lie.
    forecasts : DataFrame
        From `analysis.forecast_study`; with ``column`` predictions of another column of the runs.
    level, calibration_factor : float
        Of their intervals.

    Returns
    -------
    int
        Number of new predictions.
    """
    new = 0
    tested = forecasts[["loss", "lower", "upper"]].notna().all(axis=1)
    for row in forecasts[tested].to_dict("records"):
        forecast = {name: _plain(row[name]) for name in (*_KEPT, _COLUMN) if name in row}
        forecast |= {
            "version": VERSION,
            "study": study,
            "level": level,
            "inflation": calibration_factor,
        }
        folder = Path(outputs) / "track" / str(row["run_id"])
        path = folder / f"{digest(forecast)}.json"
        if RunFolder(Path(outputs) / "runs" / str(row["run_id"])).done() or path.exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        forecast["made"] = datetime.now(UTC).isoformat(timespec="seconds")
        forecast["hash"] = digest(forecast, 20)
        new += create_exclusive(path, json.dumps(forecast, indent=1) + "\n")
    return new


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if not isinstance(value, float) or math.isfinite(value) else None


def track_record(outputs: str | Path, study: str | None = None) -> pd.DataFrame:
    """All predictions with the outcomes of their runs.

    Returns
    -------
    DataFrame
        One row per prediction, in the order in which they were made: ``run_id, study, made, share``
        (of the curve that was known), ``law, column`` (what is predicted; empty: the loss),
        ``loss, lower, upper, level``; of runs that have ended
        ``measured``, ``error`` (predicted over measured, minus one), ``ratio`` (the miss over the
        half-width before calibration) and ``contained``; ``counts`` (the first of its run, made
        before its end, unchanged) and ``outcome``, in words.

    Raises
    ------
    UserError
        If there is no such folder.
    """
    outputs = Path(outputs)
    if not outputs.is_dir():
        raise UserError(
            f"there is no folder {outputs}; outputs= names the one that scaling launch wrote"
        )
    forecasts = list(_kept(outputs))
    forecasts = [forecast for forecast in forecasts if study is None or forecast["study"] == study]
    rows: list[dict[str, Any]] = []
    counted: set[tuple[str, str]] = set()
    for forecast in sorted(forecasts, key=lambda s: (s["made"], s["step"], s["run_id"])):
        try:
            row = _judged(outputs, forecast)
        except DamagedFile as error:
            tell(error, "what was predicted of its run does not count")
            continue
        key = forecast["run_id"], row[_COLUMN]
        row["counts"] = row["counts"] and key not in counted
        counted.add(key)
        rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _kept(outputs: Path) -> Iterator[dict[str, Any]]:
    """Every stored prediction; those that cannot be read are reported and left out."""
    for path in sorted(outputs.glob("track/*/*.json")):
        try:
            yield read_json(path, _PREDICTION)
        except DamagedFile as error:
            tell(error, "this prediction does not count")


def _judged(outputs: Path, forecast: dict[str, Any]) -> dict[str, Any]:
    """A prediction and its outcome."""
    row = {name: forecast.get(name) for name in COLUMNS if name in forecast}
    row |= {
        _COLUMN: forecast.get(_COLUMN, ""),
        "share": forecast["step"] / forecast["steps"] if forecast["steps"] > 0 else np.nan,
        "measured": np.nan,
        "error": np.nan,
        "ratio": np.nan,
        "contained": None,
        "counts": False,
    }
    if forecast["lower"] is None or forecast["upper"] is None:
        row |= {"lower": np.nan, "upper": np.nan}
        return row | {"outcome": "made without an interval: does not count"}
    content = {k: v for k, v in forecast.items() if k != "hash"}
    if digest(content, 20) != forecast["hash"]:
        return row | {"outcome": "changed after it was made: does not count"}
    if not (
        0 < forecast["lower"] < forecast["upper"]
        and forecast["loss"] > 0
        and forecast["inflation"] > 0
    ):
        return row | {"outcome": "its interval is empty: does not count"}
    folder = RunFolder(outputs / "runs" / forecast["run_id"])
    ending = folder.done()
    if ending is None:
        stopped = folder.state() == State.STOPPED
        return row | {"outcome": "stopped: never tested" if stopped else "open"}
    if ending.status != State.DONE:
        return row | {"outcome": f"{ending.status}: never tested"}
    if not _before_the_end(folder, ending, forecast):
        return row | {"outcome": "made after the run had ended: does not count"}
    ended = folder.record()
    measured = ended.final.validation_loss
    if column := row[_COLUMN]:
        measured = (ended.columns | columns_at(folder, ended.steps)).get(str(column))
    if measured is None:
        return row | {"outcome": f"ended, {_missing(str(column))}"}
    half = np.log(forecast["upper"] / forecast["lower"]) / 2 / forecast["inflation"]
    with np.errstate(divide="ignore", invalid="ignore"):  # an accuracy may be 0
        times = float(np.divide(forecast["loss"], measured))
        ratio = float(abs(np.log(times)) / half)
    return row | {
        "measured": measured,
        "error": times - 1,
        "ratio": ratio,
        "contained": bool(forecast["lower"] <= measured <= forecast["upper"]),
        "counts": True,
        "outcome": "contained" if forecast["lower"] <= measured <= forecast["upper"] else "missed",
    }


def _missing(column: str) -> str:
    """Why a run that ended lacks the predicted column; an empty one is the loss."""
    if not column:
        return "and without a validation loss"
    if column.startswith((COLUMN, TASK)):
        return "and not measured by its probe yet"
    if column.startswith(FURTHER_LOSS):
        return "and not validated on this set yet"
    return "and its training did not measure it"


def _before_the_end(folder: RunFolder, ending: Done, forecast: dict[str, Any]) -> bool:
    end = folder.attempt(ending.attempt).end
    ended = end.ended if end is not None else folder.done_file.stat().st_mtime
    return datetime.fromisoformat(forecast["made"]).timestamp() <= ended + 1


def needed(level: float) -> int:
    """Number of tested predictions that a calibration needs at a level."""
    return math.ceil(level / (1 - level) - 1e-9)


def factor_of_record(record: pd.DataFrame, level: float) -> float | None:
    """The factor, at least 1, by which intervals are widened; None with too few tested predictions.

    Parameters
    ----------
    record : DataFrame
        From `track_record`.
    level : float
        Of the intervals; predictions of another level do not count.
    """
    losses = record[_COLUMN] == ""  # predictions of tasks say nothing about losses
    ratios = np.sort(record.loc[record["counts"] & losses & (record["level"] == level), "ratio"])
    rank = math.ceil((len(ratios) + 1) * level - 1e-9)
    return max(1.0, float(ratios[rank - 1])) if 0 < rank <= len(ratios) else None


def calibration_factor(outputs: str | Path, study: str | None, level: float) -> float:
    """The factor by which the record widens a study's intervals; 1 with too few tested predictions.

    It comes from the study's own record if that has enough tested predictions, otherwise from that
    of all studies in the folder.

    Raises
    ------
    UserError
        If there is no such folder.
    """
    record = track_record(outputs)
    study_factor = factor_of_record(record[record["study"] == study], level)
    return study_factor or factor_of_record(record, level) or 1.0


def calibrated(result: Result, outputs: str | Path, study: str) -> Result:
    """A fit of a study with intervals of losses that are calibrated by the record."""
    return result.calibrated(calibration_factor(outputs, study, result.settings["level"]))


def as_texts(record: pd.DataFrame) -> pd.DataFrame:
    """The record for display: one row per stored prediction, numbers as text."""
    return pd.DataFrame(
        {
            "made": [time[:16].replace("T", " ") for time in record["made"]],
            "study": record["study"],
            "run": record["run_id"],
            "known": [f"{share:.0%}" for share in record["share"]],
            "law": record["law"],
            "of": record[_COLUMN].replace("", "loss"),
            "predicted": [
                f"{loss:.4f}{interval_in_words(lower, upper)}"
                for loss, lower, upper in zip(
                    record["loss"], record["lower"], record["upper"], strict=True
                )
            ],
            "measured": ["" if pd.isna(loss) else f"{loss:.4f}" for loss in record["measured"]],
            "error": ["" if pd.isna(error) else f"{error:+.2%}" for error in record["error"]],
            "outcome": record["outcome"],
        }
    )


def sentence(record: pd.DataFrame, level: float) -> str:
    """The record in one sentence."""
    counted = record[record["counts"] & (record["level"] == level) & (record[_COLUMN] == "")]
    if counted.empty:
        other_columns = int((record["counts"] & (record[_COLUMN] != "")).sum())
        of_losses = f" of a loss ({other_columns} of other columns were)" if other_columns else ""
        return f"No prediction{of_losses} has been tested yet."
    contained = counted["contained"].astype(bool)
    text = (
        f"{len(counted)} predictions were made before their runs ended: {contained.mean():.0%} of"
        f" the {level:.0%} intervals contained the measurement, mean error"
        f" {counted['error'].abs().mean():.2%} ({counted['error'].mean():+.2%})."
    )
    wider = factor_of_record(record, level)
    if wider is None:
        return text + f" With {needed(level)} or more, their misses calibrate later intervals."
    if wider == 1:
        return text + " No calibration is needed."
    return text + f" So intervals of losses are {calibration_in_words(wider)}."
