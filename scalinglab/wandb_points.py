"""The points of a run's curves on wandb.

A metric has one name from the first heartbeat to the recorded curve, and every point has its true
step, tokens and FLOPs. A point that was shown live is not pushed again with the recorded curve.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scalinglab.scaling.model.flops import flops_per_token
from scalinglab.scaling.records.attempt import Attempt
from scalinglab.scaling.records.record import Record
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.training.program_record import read_measured

CURVE_POINTS = 400  # of a run's training curve; validation points come on top
STEP_METRIC = "tokens"  # the default horizontal axis of all panels
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
    """The new points of the latest heartbeat: its validations and its present training loss.

    Parameters
    ----------
    folder : RunFolder
    live : mapping
        Metric -> steps at which it was shown before.

    Returns
    -------
    list of (int, dict)
        Step, and metric -> value.
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
        present = {TRAIN: progress.loss, "train/tokens_per_second": progress.tokens_per_second}
        values.setdefault(progress.reached, {}).update(
            {name: value for name, value in present.items() if value is not None}
        )
    beat = _beat(folder, attempt)
    lr = lr_array(run.pieces)
    rows: Points = []
    for step, metrics in sorted(values.items()):
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        if finite:
            rate = {"train/lr": float(lr[step - 1])} if 0 < step <= len(lr) else {}
            rows.append((step, axes(run, step) | rate | finite | beat))
    return rows


def curve_points(folder: RunFolder, record: Record, live: Live) -> Points:
    """The recorded curve, thinned, without the points that were shown live."""
    time_at = _time_at(folder, record)
    rows: Points = []
    for row in _curve(folder):
        step = int(row["step"])
        metrics = {_NAMES[name]: value for name, value in row.items() if name in _NAMES}
        if TRAIN in metrics and step in live.get(TRAIN, ()):  # with its learning rate
            del metrics[TRAIN]
            metrics.pop("train/lr", None)
        if VALIDATION in metrics and step in live.get(VALIDATION, ()):
            del metrics[VALIDATION]
        if metrics:
            rows.append((step, axes(record.spec, step) | metrics | time_at(step)))
    return rows


def axes(run: RunSpec, step: int) -> dict[str, float]:
    """The position of a point on the axes: its step, tokens and FLOPs."""
    tokens = step * run.tokens_per_step
    return {"step": step, STEP_METRIC: tokens, "flops": tokens * flops_per_token(run.flops)}


def time_span(folder: RunFolder) -> tuple[float, float] | None:
    """When the first attempt at a run began and the last ended, in seconds since 1970."""
    numbers = folder.attempt_numbers()
    if not numbers:
        return None
    first, last = folder.attempt(numbers[0]), folder.attempt(numbers[-1])
    if last.end is None or not 0 < first.owner.started <= last.end.ended:
        return None
    return first.owner.started, last.end.ended


def _time_at(folder: RunFolder, record: Record) -> Callable[[int], dict[str, float]]:
    """Step -> wandb's time of a point, interpolated between the beginning and end of the attempts.

    Records have no time of single steps.
    """
    span = time_span(folder)
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
    """Rows of the recorded curve: evenly and log-spaced ones, and all with a validation loss."""
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
