"""The state of a study, derived from its run folders each time it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.scaling.config import ConfigError, ExecutionConfig, from_dict
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.plan_file import StudyConfig, read_plan_file
from scalinglab.scaling.records.prefixes import candidates
from scalinglab.scaling.records.record import Record
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import FINISHED, WAITING, State
from scalinglab.scaling.text.printable import printable
from scalinglab.scaling.text.shell import override
from scalinglab.sweeps.plan.plan import PLAN_VERSION, study_folder

# A look at all runs is followed by so many times as long without one: 5 % of the time at the most.
LOOKS_APART = 20
COLUMNS = (
    "run_id",
    "role",
    "N",
    "D",
    "lr",
    "schedule",
    "seed",
    "state",
    "step",
    "steps",
    "loss",
    "tokens_per_second",
    "attempt",
    "predicted_seconds",
    "seconds",
    "pack",
    "note",
)


@dataclass(frozen=True)
class StoredRun:
    """One run of a stored plan.

    Attributes
    ----------
    folder : RunFolder
    roles : tuple of str
    needs : tuple or None
        (run_id, step): the checkpoint from which it is to start.
    pins : tuple of int
        Steps whose checkpoints others start from.
    seconds : float or None
        Predicted of the work that was left; of a member its share of the pack's.
    kind : str or None
        What it has in common with those that may train with it; None: it trains alone.
    pack : int
        Members of a pack of its kind, where the plan was to choose.
    seconds_whole : float or None
        As `seconds`, predicted when nothing of the run was trained.
    """

    folder: RunFolder
    roles: tuple[str, ...]
    needs: tuple[str, int] | None
    pins: tuple[int, ...]
    seconds: float | None
    kind: str | None = None
    pack: int = 1
    seconds_whole: float | None = None


IMPORTED = "imported.json"  # stands in the folder of a study whose runs were made elsewhere


@dataclass(frozen=True)
class StoredPlan:
    """What ``scalinglab.sweeps.plan.plan.save_plan`` wrote.

    `gone` are runs whose folder somebody removed since, `damaged` those whose files do not say any
    more what they are or whether they have ended, with what is wrong; neither are among `runs`.
    """

    study: StudyConfig
    execution: ExecutionConfig
    runs: list[StoredRun]
    gone: tuple[str, ...] = ()
    damaged: Mapping[str, DamagedFile] = field(default_factory=dict)


def read_plan(outputs: Path, name: str) -> StoredPlan:
    """Read the plan of a study.

    Raises
    ------
    ConfigError
        If there is none.
    DamagedFile
        If it cannot be read; the plan can be made anew.
    """
    path = study_folder(outputs, name) / "plan.json"
    if (path.parent / IMPORTED).exists() and not path.exists():
        raise ConfigError(
            f"study {name!r} was imported: there is nothing to train or to watch; "
            f"scaling fit study={name} and scaling report study={name} read it"
        )
    if not path.exists():
        known = sorted(p.parent.name for p in (outputs / "studies").glob("*/plan.json"))
        raise ConfigError(
            f"there is no study {name!r} in {outputs}; there are: {', '.join(known) or 'none'}; "
            f"scaling launch {override('study', name)} trains it"
        )
    stored = read_plan_file(path)
    if stored.version != PLAN_VERSION:
        raise ConfigError(
            f"{path} has version {stored.version}; this code reads {PLAN_VERSION}: plan again"
        )
    runs = [
        StoredRun(
            folder=RunFolder(outputs / "runs" / r.run_id),
            roles=r.roles,
            needs=r.needs,
            pins=r.pins,
            seconds=r.seconds,
            kind=r.kind,
            pack=r.pack,
            seconds_whole=r.seconds_whole,
        )
        for r in stored.runs
    ]
    gone = tuple(r.folder.run_id for r in runs if not r.folder.exists())
    damaged = {
        r.folder.run_id: error
        for r in runs
        if r.folder.run_id not in gone and (error := r.folder.damage()) is not None
    }
    for error in damaged.values():
        tell(error, "its run is left out")
    there = [r for r in runs if r.folder.run_id not in (*gone, *damaged)]
    return StoredPlan(
        stored.study, from_dict(ExecutionConfig, stored.execution), there, gone, damaged
    )


class StateReader:
    """States of the runs of one plan at one moment, each read once and only if it is asked for.

    Parameters
    ----------
    runs : iterable of StoredRun
        Of one plan.
    given_up : callable, optional
        Whether a launch tries a run no more. It looks at the states as that launch does: a waiting
        run that it gave up is "failed" and blocks nobody, a failed one that it will try again is
        "interrupted", and its branches wait for it.
    finished : set of str, optional
        Runs that are known to be finished.
    """

    def __init__(
        self,
        runs: Iterable[StoredRun],
        given_up: Callable[[StoredRun], bool] | None = None,
        finished: Collection[str] = (),
    ) -> None:
        self._runs = {r.folder.run_id: r for r in runs}
        self._given_up, self._finished = given_up, finished
        self._unblocked: dict[str, State] = {}
        self._states: dict[str, State] = {}

    def state(self, run: StoredRun) -> State:
        """State of a run; blocked is a waiting one whose trunk's checkpoint is still to come."""
        run_id = run.folder.run_id
        if run_id not in self._states:
            found = self._alone(run)
            blocked = found in WAITING and self._is_blocked(run)
            self._states[run_id] = State.BLOCKED if blocked else found
        return self._states[run_id]

    def _alone(self, run: StoredRun) -> State:
        """State of a run, whatever it may wait for."""
        run_id = run.folder.run_id
        if run_id not in self._unblocked:
            found = State.DONE if run_id in self._finished else run.folder.state()
            if self._given_up is not None and found in (*WAITING, State.FAILED):
                if self._given_up(run):
                    found = State.FAILED
                elif found == State.FAILED:
                    found = State.INTERRUPTED
            self._unblocked[run_id] = found
        return self._unblocked[run_id]

    def _is_blocked(self, run: StoredRun) -> bool:
        """A branch waits while its trunk may still leave the checkpoint; else it trains itself."""
        if run.needs is None:
            return False
        trunk, step = self._runs.get(run.needs[0]), run.needs[1]
        if trunk is None or self._alone(trunk) not in (*WAITING, State.RUNNING):
            return False
        furthest = candidates(run.folder.outputs, run.folder.spec().science)
        return not furthest or furthest[0][0] < step


def states(
    runs: Iterable[StoredRun], given_up: Callable[[StoredRun], bool] | None = None
) -> dict[str, State]:
    """run_id -> state of runs of one plan (`StateReader`)."""
    runs = list(runs)
    reader = StateReader(runs, given_up)
    return {r.folder.run_id: reader.state(r) for r in runs}


def status(
    outputs: Path, name: str, finished: dict[str, dict[str, Any]] | None = None
) -> pd.DataFrame:
    """One row a run of a study, in the order of its plan.

    Parameters
    ----------
    outputs, name
        Of the study.
    finished : dict, optional
        Rows of finished runs, which do not change: filled here, and taken from here by whoever
        looks again and again.

    Returns
    -------
    DataFrame
        With ``COLUMNS``; `loss` is the final
        validation loss of finished runs and the latest training loss of others; `seconds` and
        `tokens_per_second` are a run's own share of its pack's, and `pack` names that while it
        trains.
    """
    plan = read_plan(outputs, name)
    rows = {} if finished is None else finished
    current = states([r for r in plan.runs if r.folder.run_id not in rows])
    new = {}
    for run in plan.runs:
        if run.folder.run_id in current:
            try:
                new[run.folder.run_id] = _row(run, current[run.folder.run_id])
            except DamagedFile as error:  # a record: all the others are shown
                tell(error, "its run counts as damaged")
                new[run.folder.run_id] = _row_of(run, run.folder.spec(), State.DAMAGED) | {
                    "note": error.why
                }
    rows |= {i: row for i, row in new.items() if row["state"] in FINISHED}
    every = rows | new
    return pd.DataFrame([every[r.folder.run_id] for r in plan.runs], columns=list(COLUMNS))


def _row(run: StoredRun, state: State) -> dict[str, Any]:
    if run.folder.done() is None:
        row = _row_of(run, run.folder.spec(), state) | _unfinished(run.folder)
    else:
        record = run.folder.record()
        row = _row_of(run, record.spec, state) | _finished(record)
    if state != State.RUNNING:
        row["pack"] = ""
    if state == State.BLOCKED and run.needs is not None:
        row["note"] = f"waits for {run.needs[0]} at step {run.needs[1]}"
    return row


def _row_of(run: StoredRun, spec: RunSpec, state: State) -> dict[str, Any]:
    """What its description says of a run, before anything of it is trained."""
    return {
        "run_id": run.folder.run_id,
        "role": ",".join(run.roles),
        "N": spec.counts["n_matmul"],
        "D": spec.tokens,
        "lr": spec.lr_peak,
        "schedule": spec.schedule_kind,
        "seed": spec.seed,
        "state": state,
        "step": 0,
        "steps": spec.steps,
        "loss": float("nan"),
        "tokens_per_second": float("nan"),
        "attempt": 0,
        "predicted_seconds": run.seconds_whole,
        "seconds": float("nan"),
        "pack": "",
        "note": "",
    }


def _finished(record: Record) -> dict[str, Any]:
    """What the record says of the run's end."""
    final = record.final.validation_loss
    return {
        "step": record.steps,
        "loss": final if final is not None else float("nan"),
        "tokens_per_second": record.throughput.own_rate,
        "attempt": record.attempt,
        "seconds": record.throughput.seconds,
    }


def _unfinished(folder: RunFolder) -> dict[str, Any]:
    """What the latest attempt last said of itself."""
    attempt = folder.latest_attempt()
    if attempt is None:
        return {}
    progress = folder.progress(attempt.number)
    known = ("loss", "tokens_per_second", "pack")
    said = {k: v for k in known if (v := getattr(progress, k)) is not None}
    note = f"one of {progress.members} in a pack" if progress.members > 1 else ""
    if attempt.end is not None:
        note = printable(attempt.end.error)  # a table cannot hold half a character
    # Before its first report it stands where it began.
    step = progress.start if progress.step is None else progress.step
    return {**said, "step": step, "attempt": attempt.number, "note": note}
