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
        Time until the last run ends, at the present number of packs (a run alone is a pack); NaN if
        no run trains, or if the time of the remaining work was not predicted.
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
    ratio = (
        float(status["seconds"][trained].sum() / predicted[trained].sum())
        if trained.any()
        else math.nan
    )
    left = predicted * (1 - part)
    running = status[status["state"] == State.RUNNING]
    # All members of a pack end together: the pack takes the sum of its members' shares.
    places = (
        left[running.index]
        .groupby(running["pack"].where(running["pack"] != "", running["run_id"]))
        .sum()
    )
    seconds = math.nan
    if len(running) and left.sum() > 0:
        # It takes at least as long as the longest pack, and as all work divided evenly.
        pace = ratio if math.isfinite(ratio) else 1.0
        seconds = pace * max(float(places.max()), float(left.sum()) / len(places))
    packs = running["pack"][running["pack"] != ""].nunique()
    return Progress(share, seconds, ratio, packs, _queue(outputs, study) if ask_queue else {})


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
