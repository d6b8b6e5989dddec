"""The verbs that say what runs will come to, and keep count of how right that was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.as_json import print_json
from scalinglab.options import LEVEL, RESAMPLES, SEED, option
from scalinglab.scaling.records.state import State
from scalinglab.verb import Verb, open_console, say

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ForecastOptions:
    """Options of ``scaling forecast``."""

    study: str = option("whose runs are forecast")
    outputs: str = option("the folder of all runs", "outputs")
    law: str | None = option("a law of curves; the study's own if not given", None)
    level: float = option("of the intervals", 0.95, LEVEL)
    resamples: int = option("refits for the intervals", 200, RESAMPLES)
    seed: int = option("of the resamples", 0, SEED)
    keep: bool = option("keep the forecasts, for scaling track", True)
    widen: bool = option("widen intervals by the record of earlier forecasts", True)
    stop: bool = option("end the runs that cannot become the best of their N and D", False)
    margin: float = option("by which share of the loss they must be worse to be stopped", 0.0)
    take_up: str | None = option("a selection of stopped runs that may be trained after all", None)
    json: bool = option("print one JSON object; --json says the same", False)


@dataclass(frozen=True)
class TrackOptions:
    """Options of ``scaling track``."""

    study: str | None = option("only its forecasts", None)
    outputs: str = option("the folder of all runs", "outputs")
    level: float = option("of the intervals that are judged", 0.95, LEVEL)
    json: bool = option("print one JSON object; --json says the same", False)


def forecast_verb(arguments: Sequence[str]) -> int:
    """Forecast the final losses of runs that have not ended: scaling forecast study=NAME.

    From the law of curves, the schedule still to come and the part of each run's curve that is
    known. The forecasts are kept, and judged when their runs have ended: scaling track.

    stop=true also ends those that cannot become the best of their N and D any more, by margin=0.01
    at least: they are recorded as stopped, launches pass them by, and fits count them as censored.
    take_up=SELECTION takes that back.
    """
    from scalinglab import analysis
    from scalinglab.analysis.forecasts.track import calibration_factor, remember
    from scalinglab.options import read_options

    options = read_options(ForecastOptions, arguments)
    outputs = Path(options.outputs).absolute()
    analysis.study_plan(outputs, options.study)
    if options.take_up is not None:
        return _take_up(outputs, options)
    inflation = calibration_factor(outputs, options.study, options.level) if options.widen else 1.0
    found = analysis.forecast_study(
        outputs,
        options.study,
        law=options.law,
        level=options.level,
        resamples=options.resamples,
        seed=options.seed,
        calibration_factor=inflation,
    )
    new = remember(outputs, options.study, found, options.level, inflation) if options.keep else 0
    stopped = _stop(outputs, options, found) if options.stop else []
    if options.json:
        print_json({"forecasts": found, "inflation": inflation, "kept": new, "stopped": stopped})
        return 0
    console = open_console()
    show_forecasts(console, found, options.study, inflation)
    if new:
        say(console, f"{new} forecasts were kept; scaling track shows how they come out")
    for line in stopped:
        say(console, line)
    if options.stop and not stopped:
        say(console, "every run may still become the best of its N and D: none is stopped")
    return 0


def show_forecasts(console: Any, found: pd.DataFrame, title: str, inflation: float) -> None:
    """Print forecasts as a table, and by what the record widened their intervals."""
    from scalinglab.analysis.intervals.spread import calibration_in_words

    if found.empty:
        say(console, f"{title}: every run has ended")
        return
    console.table(
        _shown(found),
        optional=("role", "seed", "schedule", "law"),
        text="note",
        title=f"{title}: forecast of final losses",
    )
    if inflation > 1:
        say(console, f"intervals are {calibration_in_words(inflation)}")


def _shown(found: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    known = found["loss"].notna()
    between = [
        f"{a:.4f} to {b:.4f}" if ok else ""
        for a, b, ok in zip(found["lower"], found["upper"], known, strict=True)
    ]
    where = [
        ("yes" if b <= 1 + 1e-9 else f"{b:.2g}x beyond") if ok else ""
        for b, ok in zip(found["beyond"], known, strict=True)
    ]
    return pd.DataFrame(
        {
            "run": found["run_id"],
            "role": found["role"],
            "state": found["state"],
            "N": [f"{n:,}" for n in found["N"]],
            "D": [f"{d:,}" for d in found["D"]],
            "schedule": found["schedule"],
            "seed": found["seed"],
            "known": [f"{share:.0%}" for share in found["share"]],
            "final loss": ["" if pd.isna(v) else f"{v:.4f}" for v in found["loss"]],
            "interval": between,
            "measured range": where,
            "law": found["law"],
            "note": found["note"],
        }
    )


def _stop(outputs: Path, options: ForecastOptions, found: pd.DataFrame) -> list[str]:
    """End the runs that meet the rule; a sentence each."""
    from scalinglab import analysis
    from scalinglab.analysis.forecasts.forecast_study import cannot_matter
    from scalinglab.scaling.records.atomic import server_time
    from scalinglab.sweeps.watch.stopping import stop_run

    runs = analysis.load(outputs, study=options.study)
    needless = cannot_matter(outputs, found, runs, options.margin)
    said = []
    for row in needless[needless["state"] != State.STOPPED].to_dict("records"):
        why = {
            key: row[key]
            for key in ("step", "steps", "loss", "lower", "upper", "law", "better", "better_loss")
        }
        why |= {
            "rule": "cannot become the best of its N and D",
            "margin": options.margin,
            "level": options.level,
            "study": options.study,
            "stopped": server_time(outputs),
        }
        stop_run(outputs, row["run_id"], why)
        said.append(
            f"{row['run_id']} is stopped: at best {row['lower']:.4f}, and {row['better']} has"
            f" reached {row['better_loss']:.4f}"
        )
    return said


def _take_up(outputs: Path, options: ForecastOptions) -> int:
    from scalinglab.sweeps.store.select import select
    from scalinglab.sweeps.store.state import read_plan

    chosen = select(read_plan(outputs, options.study).runs, options.take_up or "")
    taken = [run.folder for run in chosen if run.folder.stopped() is not None]
    for folder in taken:
        folder.take_up()
    said = [f"{folder.run_id} may be trained again" for folder in taken]
    say(open_console(), "\n".join(said or ["none of them was stopped"]))
    return 0


def track_verb(arguments: Sequence[str]) -> int:
    """Show the forecasts that were kept and how they came out: scaling track [study=NAME].

    With enough of them tested, their misses widen the intervals of later forecasts.
    """
    from scalinglab.analysis.forecasts.track import factor_of_record, sentence, track_record
    from scalinglab.options import read_options

    options = read_options(TrackOptions, arguments)
    outputs = Path(options.outputs).absolute()
    if options.study is not None:
        from scalinglab import analysis

        analysis.study_plan(outputs, options.study)
    record = track_record(outputs, options.study)
    if options.json:
        print_json({"predictions": record, "inflation": factor_of_record(record, options.level)})
        return 0
    console = open_console()
    if record.empty:
        say(console, "no forecast was kept yet: scaling forecast study=NAME makes some")
        return 0
    _show_track(console, record)
    say(console, sentence(record, options.level))
    return 0


def _show_track(console: Any, record: pd.DataFrame) -> None:
    import pandas as pd

    from scalinglab.analysis.intervals.spread import interval_in_words

    shown = pd.DataFrame(
        {
            "made": [m[:16].replace("T", " ") for m in record["made"]],
            "study": record["study"],
            "run": record["run_id"],
            "known": [f"{share:.0%}" for share in record["share"]],
            "law": record["law"],
            "predicted": [
                f"{r['loss']:.4f}{interval_in_words(r['lower'], r['upper'])}"
                for r in record.to_dict("records")
            ],
            "measured": ["" if pd.isna(v) else f"{v:.4f}" for v in record["measured"]],
            "error": ["" if pd.isna(v) else f"{v:+.2%}" for v in record["error"]],
            "outcome": record["outcome"],
        }
    )
    console.table(shown, optional=("law", "study", "made"), text="outcome")


VERBS = {
    "forecast": Verb(
        "forecast the final losses of runs that have not ended",
        "scaling forecast study=NAME [stop=true] [law=lr_annealing]",
        forecast_verb,
        ForecastOptions,
    ),
    "track": Verb(
        "show kept forecasts and how they came out",
        "scaling track [study=NAME]",
        track_verb,
        TrackOptions,
    ),
}
