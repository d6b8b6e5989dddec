"""Progress of a study: the finished part, the time left, and measured over predicted time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from scalinglab.scaling.records.state import ENDED, State
from scalinglab.sweeps.launch import scheduler
from scalinglab.sweeps.launch.submissions import name_prefix
from scalinglab.sweeps.store.launch_record import read_launches


@dataclass(frozen=True)
class Progress:
    """Progress of a study.

    Attributes
    ----------
    share : float
        Finished fraction of the predicted training time.
    seconds_left : float
        Time until the last run ends, at the present number of packs (a run alone is a pack) and at
        the measured speed: of the runs that train for themselves, of those and the finished ones
        for what is still to begin. NaN if no run trains, or if that of some of the remaining work
        is neither measured nor predicted.
    against_plan : float
        Measured over predicted seconds of finished runs; NaN if none is finished.
    packs : int
        Packs of several members that train now.
    queue : dict or None
        State in SLURM's queue -> tasks; empty without SLURM, None if SLURM does not answer.
    """

    share: float
    seconds_left: float
    against_plan: float
    packs: int
    queue: dict[str, int] | None


def progress(
    outputs: Path, study: str, status: pd.DataFrame, *, ask_queue: bool = True
) -> Progress:
    """Progress of a study, from the table of ``scalinglab.sweeps.store.status.status``.

    Without `ask_queue` SLURM is not asked: a display that is drawn every few seconds must not load
    its controller.
    """
    predicted = status["predicted_seconds"].astype(float).fillna(0.0)
    finished = status["state"].isin(ENDED)
    part = (status["step"] / status["steps"]).where(~finished, 1.0)
    share = float((predicted * part).sum() / predicted.sum()) if predicted.sum() > 0 else math.nan
    trained = finished & status["seconds"].gt(0) & predicted.gt(0)
    ratio = _ratio(status["seconds"][trained].sum(), predicted[trained].sum())
    running = status[status["state"] == State.RUNNING]
    seconds_left = _seconds_left(status, predicted, part, trained)
    packs = running["pack"][running["pack"] != ""].nunique()
    return Progress(share, seconds_left, ratio, packs, _queue(outputs, study) if ask_queue else {})


def _ratio(measured: float, predicted: float) -> float:
    """Measured over predicted seconds; NaN where nothing was predicted."""
    return float(measured) / float(predicted) if predicted > 0 else math.nan


def _seconds_left(
    status: pd.DataFrame, predicted: pd.Series, part: pd.Series, trained: pd.Series
) -> float:
    """Time until the last run ends, see ``Progress``.

    Parameters
    ----------
    predicted, part : Series
        Seconds of each whole run, 0 where they are unknown; its finished part, from 0 to 1.
    trained : Series of bool
        Which runs have ended with a measured and a predicted time.
    """
    running = status[status["state"] == State.RUNNING]
    place = running["pack"].where(running["pack"] != "", running["run_id"])
    # All members of a pack end together: each takes its share of the pack's time.
    members = place.groupby(place).transform("size")
    rate = running["tokens_per_second"].astype(float) * members
    measured = (running["D"] / rate.where(rate > 0)).dropna()  # seconds of each whole run
    done = part[measured.index]
    pace = _ratio(
        status["seconds"][trained].sum() + (measured * done).sum(),
        predicted[trained].sum() + (predicted[measured.index] * done).sum(),
    )
    left = predicted * (1 - part) * (pace if math.isfinite(pace) else 1.0)
    left[measured.index] = measured * (1 - done)
    unknown = (part < 1) & predicted.eq(0)
    unknown[measured.index] = False
    if not len(running) or unknown.any() or not left.sum() > 0:
        return math.nan
    # It takes at least as long as the longest pack, and as all work divided evenly.
    packs = left[running.index].groupby(place).sum()
    return max(float(packs.max()), float(left.sum()) / len(packs))


def _queue(outputs: Path, study: str) -> dict[str, int] | None:
    launches = [
        launch
        for launch in read_launches(outputs, study)
        if launch.config.backend == "slurm" and not launch.is_cancelled()
    ]
    if not launches:
        return {}
    jobs = scheduler.jobs("scaling-")
    if jobs is None:
        return None
    prefixes = tuple(name_prefix(launch) for launch in launches)
    counts: dict[str, int] = {}
    for job in jobs:
        if job.name.startswith(prefixes):
            state = "requeued" if job.reason == "BeginTime" else job.state.lower()
            counts[state] = counts.get(state, 0) + 1
    return counts
