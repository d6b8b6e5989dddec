"""Progress of a study: how much is done, when it ends, and measured against predicted time."""

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
        Until the last run ends, at the present number of packs (a run alone is one); NaN if none
        runs, or if nobody has predicted the time of what is left.
    against_plan : float
        Measured over predicted seconds of finished runs; NaN if none is finished.
    packs : int
        Packs of several members that train now.
    queue : dict or None
        State in SLURM's queue -> tasks; empty without SLURM, None if it does not say.
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

    Without `ask_queue` the scheduler is left alone, as by what looks every few seconds.
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
    # A pack ends as one: its members' shares of the time come one after another.
    places = (
        left[running.index]
        .groupby(running["pack"].where(running["pack"] != "", running["run_id"]))
        .sum()
    )
    seconds = math.nan
    if len(running) and left.sum() > 0:
        # No sooner than the longest pack that trains now, nor than all work shared evenly.
        pace = ratio if math.isfinite(ratio) else 1.0
        seconds = pace * max(float(places.max()), float(left.sum()) / len(places))
    packs = running["pack"][running["pack"] != ""].nunique()
    return Progress(share, seconds, ratio, packs, _queue(outputs, study) if ask_queue else {})


def _queue(outputs: Path, study: str) -> dict[str, int] | None:
    launches = [
        one
        for one in read_launches(outputs, study)
        if one.config.backend == "slurm" and not one.is_cancelled()
    ]
    if not launches:
        return {}
    jobs = scheduler.jobs("scaling-")
    if jobs is None:
        return None
    prefixes = tuple(name_prefix(one) for one in launches)
    counts: dict[str, int] = {}
    for job in jobs:
        if job.name.startswith(prefixes):
            state = "requeued" if job.reason == "BeginTime" else job.state.lower()
            counts[state] = counts.get(state, 0) + 1
    return counts
