"""What a run is on wandb: its points, its summary, its name and what runs are grouped by.

A metric has one name from the first heartbeat to the recorded curve, and every point says its true
step, tokens and FLOPs. What was shown live is not said twice.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from scalinglab.scaling.model.flops import DEFAULT_CONVENTION, flops_per_token
from scalinglab.scaling.model.stated import size, stated_convention
from scalinglab.scaling.records.attempt import Attempt
from scalinglab.scaling.records.record import Record
from scalinglab.scaling.records.run_folder import Done, RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.training.program_record import read_measured
from scalinglab.sweeps.plan.varying import settings_in

CURVE_POINTS = 400  # of a run, measured validation besides
STEP_METRIC = "tokens"  # what everything is drawn against, unless a person chooses another axis
AXES = ("step", STEP_METRIC, "flops")
TRAIN, VALIDATION = "train/loss", "validation/loss"
METRICS = (
    TRAIN,
    "train/lr",
    "train/grad_norm",
    "train/tokens_per_second",
    VALIDATION,
    "validation/bpb",
)
_NAMES = {
    "loss": TRAIN,
    "lr": "train/lr",
    "grad_norm": "train/grad_norm",
    "validation_loss": VALIDATION,
    "validation_bpb": "validation/bpb",
}
Points = list[tuple[int, dict[str, float]]]
Live = Mapping[str, Sequence[int]]


def live_points(folder: RunFolder, live: Live) -> Points:
    """What the latest heartbeat adds, (step, values): every validation, and where it is.

    Parameters
    ----------
    folder : RunFolder
    live : mapping
        Metric -> steps at which it was shown before.
    """
    attempt = folder.latest_attempt()
    if attempt is None:
        return []
    run, progress = folder.spec(), folder.progress(attempt.number)
    values: dict[int, dict[str, float]] = {}
    measured = read_measured(folder.path / "program" / f"{attempt.number:04d}")
    for step, loss in (measured | dict(progress.validation)).items():
        if step not in live.get(VALIDATION, ()):
            values.setdefault(step, {})[VALIDATION] = loss
    if progress.reached > max(live.get(TRAIN, ()), default=0):
        said = {TRAIN: progress.loss, "train/tokens_per_second": progress.tokens_per_second}
        values.setdefault(progress.reached, {}).update(
            {name: value for name, value in said.items() if value is not None}
        )
    beat = _beat(folder, attempt)
    lr = lr_array(run.pieces)
    rows: Points = []
    for step, all_of_step in sorted(values.items()):
        finite = {name: value for name, value in all_of_step.items() if math.isfinite(value)}
        if finite:
            rate = {"train/lr": float(lr[step - 1])} if 0 < step <= len(lr) else {}
            rows.append((step, axes(run, step) | rate | finite | beat))
    return rows


def curve_points(folder: RunFolder, record: Record, live: Live) -> Points:
    """The recorded curve, thinned; without what was shown live."""
    time_at = _time_at(folder, record)
    rows: Points = []
    for row in _curve(folder):
        step = int(row["step"])
        said = {_NAMES[name]: value for name, value in row.items() if name in _NAMES}
        if TRAIN in said and step in live.get(TRAIN, ()):  # with its learning rate
            del said[TRAIN]
            said.pop("train/lr", None)
        if VALIDATION in said and step in live.get(VALIDATION, ()):
            del said[VALIDATION]
        if said:
            rows.append((step, axes(record.spec, step) | said | time_at(step)))
    return rows


def axes(run: RunSpec, step: int) -> dict[str, float]:
    """Where a point is: its step, tokens and FLOPs."""
    tokens = step * run.tokens_per_step
    return {"step": step, STEP_METRIC: tokens, "flops": tokens * flops_per_token(run.flops)}


def summary_of(folder: RunFolder, done: Done | None) -> dict[str, Any]:
    """What is known at the end, its wall time among it; of a run that failed or was stopped,
    why.
    """
    if done is None:
        return _why(folder)
    record = folder.record()
    final = {f"final/{k}": v for k, v in vars(record.final).items() if v is not None}
    speed = record.throughput
    facts = {
        "steps": record.steps,
        "tokens": record.tokens,
        "epochs": record.epochs,
        "seconds": speed.seconds,
        "tokens_per_second": speed.own_rate,
        "mfu": speed.mfu,
    }
    return final | {k: v for k, v in facts.items() if v is not None} | _wall_time(folder)


def _why(folder: RunFolder) -> dict[str, Any]:
    attempt, stop = folder.latest_attempt(), folder.stopped()
    said: dict[str, Any] = {}
    if attempt is not None and attempt.end is not None and attempt.end.error:
        said["error"] = attempt.end.error
    if stop is not None:
        said["stopped"] = dict(stop.why)
    return said


def _wall_time(folder: RunFolder) -> dict[str, Any]:
    """From the first attempt's beginning to the last one's end, pauses included."""
    span = _span(folder)
    if span is None:
        return {}
    started, ended = (datetime.fromtimestamp(t, UTC).isoformat(timespec="seconds") for t in span)
    return {"started": started, "ended": ended, "wall_seconds": span[1] - span[0]}


def _span(folder: RunFolder) -> tuple[float, float] | None:
    numbers = folder.attempt_numbers()
    if not numbers:
        return None
    first, last = folder.attempt(numbers[0]), folder.attempt(numbers[-1])
    if last.end is None or not 0 < first.owner.started <= last.end.ended:
        return None
    return first.owner.started, last.end.ended


def _time_at(folder: RunFolder, record: Record) -> Callable[[int], dict[str, float]]:
    """Step -> wandb's time of a point: between the beginning and the end of the attempts, evenly.

    A record has no time of each step.
    """
    span = _span(folder)
    if span is None:
        return lambda _: {}
    steps, times = [0, record.steps], list(span)
    if record.started_at_step and record.attempt:
        steps.insert(1, record.started_at_step)
        times.insert(1, folder.attempt(record.attempt).owner.started)
    return lambda step: {"_timestamp": float(np.interp(step, steps, times))}


def _beat(folder: RunFolder, attempt: Attempt) -> dict[str, float]:
    try:
        return {"_timestamp": folder.attempt_file(attempt.number, "beat").stat().st_mtime}
    except FileNotFoundError:
        return {}


def _curve(folder: RunFolder) -> list[dict[str, float]]:
    """Rows of the recorded curve: evenly spaced ones, log-spaced ones, and all of validation."""
    header, *lines = gzip.decompress(folder.curve_file().read_bytes()).decode().splitlines()
    if not lines:
        return []
    half = CURVE_POINTS // 2
    chosen = {int(i) for i in np.linspace(0, len(lines) - 1, half)}
    chosen |= {int(i) - 1 for i in np.geomspace(1, len(lines), half)}
    names = header.split(",")
    rows = [dict(zip(names, line.split(","), strict=True)) for line in lines]
    return [
        {name: float(text) for name, text in row.items() if text}
        for i, row in enumerate(rows)
        if i in chosen or row["validation_loss"]
    ]


def name_of(run: RunSpec, varies: str = "") -> str:
    """ "N 1.2M  D 66M  wsd  lr 0.002  seed 0", and what tells it from the study's other runs."""
    parameters, tokens = (_short(n) for n in (size(run.counts), run.tokens))
    name = f"N {parameters}  D {tokens}  {run.schedule_kind}  lr {run.lr_peak:.3g}  seed {run.seed}"
    return f"{name}  {varies}" if varies else name


def _short(count: float) -> str:
    units = iter(["", "k", "M", "B", "T"])
    unit = next(units)
    while count >= 1000 and unit != "T":
        count, unit = count / 1000, next(units)
    return f"{count:.3g}{unit}"


def config_of(run: RunSpec, varies: str = "", record: Record | None = None) -> dict[str, Any]:
    """What varies in the study, the sizes, the code and machine, and the science.

    wandb orders groups by their names: what varies is its ``arm``, which stands on top.
    """
    return {
        "arm": {name: _value(text) for name, text in settings_in(varies).items()},
        "N": size(run.counts),
        "D": run.tokens,
        "C": run.tokens * flops_per_token(run.flops),
        "lr_peak": run.lr_peak,
        "schedule": run.schedule_kind,
        "seed": run.seed,
        "steps": run.steps,
        # Of C and of the axis "flops".
        "flops_convention": stated_convention(run.flops, DEFAULT_CONVENTION),
        "run_id": run.run_id,
        "family_id": run.family_id,
        **({} if record is None else _made_by(record)),
        "counts": dict(run.counts),
        "shape": vars(run.shape),
        "science": run.science,
    }


def _made_by(record: Record) -> dict[str, Any]:
    """By which code and on which machine; what is not told is left out."""
    groups = {
        "code": vars(record.code),
        "machine": vars(record.machine),
        "versions": dict(record.versions),
    }
    return {
        group: {k: v for k, v in facts.items() if v is not None} for group, facts in groups.items()
    }


def _value(text: str) -> float | str:
    """A number as such, so that wandb orders and colours by it."""
    try:
        return float(text)
    except ValueError:
        return text
