"""The table of a study: one row per run, from its plan and its run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.scaling.model.stated import size
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.notes import notes_text
from scalinglab.scaling.records.record import Record
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import FINISHED, State
from scalinglab.scaling.text.printable import printable
from scalinglab.sweeps.store.state import states
from scalinglab.sweeps.store.stored_plan import StoredRun, read_plan

COLUMNS = (
    "run_id",
    "role",
    "varies",
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
    "notes",
)


def status(
    outputs: Path, name: str, finished: dict[str, dict[str, Any]] | None = None
) -> pd.DataFrame:
    """One row per run of a study, in the order of its plan.

    Parameters
    ----------
    outputs, name
        Folder of all runs, and the study's name.
    finished : dict, optional
        A cache for repeated calls: rows of finished runs, which do not change.

    Returns
    -------
    DataFrame
        With ``COLUMNS``. `varies` are the settings in which the runs differ. `loss` is the final
        validation loss of a finished run and the latest training loss of any other, in nats per
        token. `seconds` and `tokens_per_second` are the run's share of its pack's; `pack` is the
        pack's name while it trains. `notes` are what people kept with the run.
    """
    plan = read_plan(outputs, name)
    rows = {} if finished is None else finished
    current = states([r for r in plan.runs if r.run_id not in rows])
    new = {}
    for run in plan.runs:
        if run.run_id in current:
            try:
                new[run.run_id] = _row(run, current[run.run_id])
            except DamagedFile as error:  # of one record: all other runs are still shown
                tell(error, "its run counts as damaged")
                new[run.run_id] = _row_of(run, run.folder.spec(), State.DAMAGED) | {
                    "note": error.why
                }
    rows |= {i: row for i, row in new.items() if row["state"] in FINISHED}
    every = rows | new
    return pd.DataFrame([every[r.run_id] for r in plan.runs], columns=list(COLUMNS))


def _row(run: StoredRun, state: State) -> dict[str, Any]:
    if run.folder.done() is None:
        row = _row_of(run, run.folder.spec(), state) | _unfinished(run.folder)
    else:
        record = run.folder.record()
        row = _row_of(run, record.spec, state) | _finished(record)
    if state != State.RUNNING:
        row["pack"] = ""
    row["notes"] = notes_text(run.folder)
    if state == State.WAITING and run.needs is not None:
        row["note"] = f"waits for {run.needs[0]} at step {run.needs[1]}"
    return row


def _row_of(run: StoredRun, spec: RunSpec, state: State) -> dict[str, Any]:
    """The row of a run that has not started, from its description."""
    return {
        "run_id": run.run_id,
        "role": ",".join(run.roles),
        "varies": run.varies,
        "N": size(spec.counts),
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
        "notes": "",
    }


def _finished(record: Record) -> dict[str, Any]:
    """The columns that a finished run's record adds."""
    final = record.final.validation_loss
    return {
        "step": record.steps,
        "loss": final if final is not None else float("nan"),
        "tokens_per_second": record.throughput.own_rate,
        "attempt": record.attempt,
        "seconds": record.throughput.seconds,
    }


def _unfinished(folder: RunFolder) -> dict[str, Any]:
    """The columns that the latest progress report adds."""
    attempt = folder.latest_attempt()
    if attempt is None:
        return {}
    progress = folder.progress(attempt.number)
    shown_fields = ("loss", "tokens_per_second", "pack")
    reported = {k: v for k in shown_fields if (v := getattr(progress, k)) is not None}
    note = f"one of {progress.members} in a pack" if progress.members > 1 else ""
    if attempt.end is not None:
        note = printable(attempt.end.error)  # a table cannot hold half a character
    # Before its first report it is at the step from which it started.
    step = progress.start if progress.step is None else progress.step
    return {**reported, "step": step, "attempt": attempt.number, "note": note}
