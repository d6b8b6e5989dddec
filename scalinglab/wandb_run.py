"""A run on wandb: its name, its configuration, its summary, and its place in a study."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scalinglab.analysis.tables.powers import short
from scalinglab.scaling.model.flops import DEFAULT_CONVENTION, flops_per_token
from scalinglab.scaling.model.stated import size, stated_convention
from scalinglab.scaling.records.record import Record
from scalinglab.scaling.records.run_end import Done
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.sweeps.plan.varying import settings_in
from scalinglab.wandb_points import time_span


@dataclass(frozen=True)
class InStudy:
    """The place of a run in the study with which it is pushed.

    Attributes
    ----------
    study, question : str
        wandb's group, and its notes of the run.
    role : str
        wandb's job type; several roles are joined by commas.
    varies : str
        The settings in which it differs from other runs of the study: ``optimizer=muon loops=2``.
    """

    study: str
    role: str
    varies: str = ""
    question: str = ""


def name_of(run: RunSpec, varies: str = "") -> str:
    """ "N 1.2M  D 66M  wsd  lr 0.002  seed 0", and the settings that vary in the study."""
    parameters, tokens = (short(n) for n in (size(run.counts), run.tokens))
    name = f"N {parameters}  D {tokens}  {run.schedule_kind}  lr {run.lr_peak:.3g}  seed {run.seed}"
    return f"{name}  {varies}" if varies else name


def config_of(run: RunSpec, varies: str = "", record: Record | None = None) -> dict[str, Any]:
    """The settings that vary in the study, the sizes, the code and machine, and the science.

    wandb sorts the groups of a configuration by name: the settings that vary are its group ``arm``,
    so that they stand first.
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
        # The convention of C and of the axis "flops".
        "flops_convention": stated_convention(run.flops, DEFAULT_CONVENTION),
        "run_id": run.run_id,
        "family_id": run.family_id,
        **({} if record is None else _made_by(record)),
        "counts": dict(run.counts),
        "shape": vars(run.shape),
        "science": run.science,
    }


def _made_by(record: Record) -> dict[str, Any]:
    """The code and the machine of a record, without unknown facts."""
    groups = {
        "code": vars(record.code),
        "machine": vars(record.machine),
        "versions": dict(record.versions),
    }
    return {
        group: {name: fact for name, fact in facts.items() if fact is not None}
        for group, facts in groups.items()
    }


def _value(text: str) -> float | str:
    """A number as a float, so that wandb sorts and colours by it; else the text."""
    try:
        return float(text)
    except ValueError:
        return text


def summary_of(folder: RunFolder, done: Done | None) -> dict[str, Any]:
    """The final losses, throughput and wall time; for a failed or stopped run the reason."""
    if done is None:
        return _reason(folder)
    record = folder.record()
    throughput = record.throughput
    final = {f"final/{name}": loss for name, loss in vars(record.final).items() if loss is not None}
    facts = {
        "steps": record.steps,
        "tokens": record.tokens,
        "epochs": record.epochs,
        "seconds": throughput.seconds,
        "tokens_per_second": throughput.own_rate,
        "mfu": throughput.mfu,
    }
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return final | known | _wall_time(folder)


def _reason(folder: RunFolder) -> dict[str, Any]:
    """The error of the latest attempt, and why the run was stopped."""
    attempt, stop = folder.latest_attempt(), folder.stopped()
    reason: dict[str, Any] = {}
    if attempt is not None and attempt.end is not None and attempt.end.error:
        reason["error"] = attempt.end.error
    if stop is not None:
        reason["stopped"] = dict(stop.why)
    return reason


def _wall_time(folder: RunFolder) -> dict[str, Any]:
    """The time from the beginning of the first attempt to the end of the last, with pauses."""
    span = time_span(folder)
    if span is None:
        return {}
    started, ended = (datetime.fromtimestamp(t, UTC).isoformat(timespec="seconds") for t in span)
    return {"started": started, "ended": ended, "wall_seconds": span[1] - span[0]}
