"""What a run leaves for the analysis beside its curve: a JSON record, written and read here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.curve import Curve, bits_per_byte, measured_columns
from scalinglab.scaling.records.damage import Shape, check_shape, reading
from scalinglab.scaling.records.data_spec import known_fields
from scalinglab.scaling.records.initial_weights import KEY
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.stability import stability
from scalinglab.scaling.records.state import State

RECORD_VERSION = 1
_RECORD: Shape = {
    "record_version": int,
    "run_id": str,
    "status": str,
    "steps": int,
    "tokens": int,
    "final": dict,
    "science": dict,
    "config": dict,
}


def build_record(run: RunSpec, curve: Curve, **facts: Any) -> dict[str, Any]:
    """The content of the record of a finished run.

    Parameters
    ----------
    run : RunSpec
    curve : Curve
        Of the whole run, or up to where it diverged.
    **facts
        What the attempt adds: status, attempt, timing, machine, versions.
    """
    steps = len(curve.loss)
    tokens = steps * run.tokens_per_step
    final = curve.validation.get(steps) if facts["status"] == State.DONE else None
    described = run.to_dict()
    return {
        "record_version": RECORD_VERSION,
        "run_id": run.run_id,
        "cluster": run.family_id,
        "steps": steps,
        "tokens": tokens,
        "unique_tokens": run.unique_tokens,
        "epochs": tokens / run.unique_tokens,
        **({"pools": drawn} if (drawn := run.drawn(steps)) else {}),
        "final": {
            "train_loss": _plain(curve.loss[-1]) if steps else None,
            "validation_loss": final,
            "validation_bpb": None if final is None else bits_per_byte(final, run.bytes_per_token),
            "irreducible_loss": run.irreducible_loss,
            **({"unigram_entropy": run.unigram_entropy} if run.unigram_entropy is not None else {}),
        },
        "measured": measured_columns(curve.measured),
        "stability": stability(curve.loss, curve.grad_norm),
        **{k: described[k] for k in ("science", "config", "shape", "counts", "flops", "lr_peak")},
        **({KEY: described[KEY]} if KEY in described else {}),
        **facts,
    }


def _plain(value: np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class Final:
    """Losses at the end; None where they were not measured, or are not known."""

    train_loss: float | None = None
    validation_loss: float | None = None
    validation_bpb: float | None = None
    irreducible_loss: float | None = None
    unigram_entropy: float | None = None  # of a model that knows how often each token is


@dataclass(frozen=True)
class Throughput:
    """How fast a run trained; rates are those of all members of its pack together.

    Attributes
    ----------
    seconds : float
        Its share of the time in steps and validation, of all attempts.
    steps : int
        Of the last attempt.
    members : int
        Of the pack it was in; 1: alone.
    tokens_per_second, flops_per_second, peak_flops, mfu, mfu_causal : float or None
        See ``scalinglab.scaling.training.throughput``.
    """

    seconds: float = math.nan
    steps: int = 0
    members: int = 1
    tokens_per_second: float | None = None
    flops_per_second: float | None = None
    peak_flops: float | None = None
    mfu: float | None = None
    mfu_causal: float | None = None

    @property
    def own_rate(self) -> float | None:
        """Tokens a second of the run itself."""
        return None if self.tokens_per_second is None else self.tokens_per_second / self.members


@dataclass(frozen=True)
class Machine:
    """Where and how a run was executed (``scalinglab.scaling.records.provenance``); None:
    it is not told.
    """

    host: str | None = None
    processor: str | None = None
    device: str | None = None
    threads: int | None = None
    engine: str | None = None
    engine_asked: str | None = None
    engine_why: str | None = None
    replayed: bool | None = None
    packs: Sequence[int] = ()
    processes: int = 1
    shard: bool = False
    deterministic: bool = False
    micro_batch: int | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True)
class Code:
    """By which code a run was trained."""

    commit: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True)
class Record:
    """What is known of a run that has ended.

    Attributes
    ----------
    spec : RunSpec
        The run.
    status : State
        Done or diverged; stopped, of one that a rule ended (`stopped_record`).
    steps, tokens : int
        As far as it trained.
    epochs : float
        Of its pool.
    final : Final
    measured : mapping of str to list
        Measurements on the way: name -> values, ``step`` the first; None what is not there.
    pools : mapping
        Pool -> tokens, share, unique tokens and epochs, of a run that draws from several.
    extra : mapping of str to float
        Open columns: numbers that whoever trained or probed the run left, by their names.
    counts_from : str or None
        The program that gave the counts or FLOPs of `spec`; None: they are the configuration's.
    attempt, started_at_step : int
        The attempt that ended it, and where that began.
    throughput : Throughput
    machine : Machine
    versions : mapping
        Package -> version.
    code : Code
    plain : mapping
        All that the file holds, for tables that show everything.
    """

    spec: RunSpec
    status: State
    steps: int
    tokens: int
    epochs: float
    final: Final
    measured: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    pools: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    counts_from: str | None = None
    attempt: int = 0
    started_at_step: int = 0
    throughput: Throughput = field(default_factory=Throughput)
    machine: Machine = field(default_factory=Machine)
    versions: Mapping[str, str] = field(default_factory=dict)
    code: Code = field(default_factory=Code)
    plain: Mapping[str, Any] = field(default_factory=dict)

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.spec.run_id

    @property
    def columns(self) -> dict[str, float | None]:
        """Name -> value of everything that was measured at the end, or left beside:
        open columns.
        """
        steps = self.measured.get("step", ())
        ended = bool(steps) and steps[-1] == self.steps
        at_end = {n: v[-1] for n, v in self.measured.items() if n != "step"} if ended else {}
        drawn = {f"{key}.{p}": v for p, values in self.pools.items() for key, v in values.items()}
        return {**at_end, **drawn, **self.extra}


def read_record(path: Path, record: Any) -> Record:
    """The record that a file holds; of an old one what joined later has its default.

    Parameters
    ----------
    path : Path
        The file.
    record : dict
        Its content.

    Raises
    ------
    DamagedFile
        If it is no record.
    ConfigError
        If it is of another version.
    """
    check_shape(path, record, _RECORD)
    if record["record_version"] != RECORD_VERSION:
        raise ConfigError(
            f"the record of run {record['run_id']} has version {record['record_version']}; this "
            f"code reads {RECORD_VERSION}"
        )
    with reading(path, "it is no record"):
        groups: dict[str, Any] = {
            "spec": RunSpec.from_record(record),
            "status": State(record["status"]),
            "final": known_fields(Final, record["final"]),
            "throughput": known_fields(Throughput, record.get("throughput", {})),
            "machine": known_fields(Machine, record.get("machine", {})),
            "code": known_fields(Code, record.get("code", {})),
        }
        return known_fields(Record, {**record, **groups, "plain": record})


def stopped_record(spec: RunSpec, steps: int) -> Record:
    """What is known of a run that a rule stopped: no final loss, and the tokens it saw."""
    tokens = steps * spec.tokens_per_step
    final = Final(irreducible_loss=spec.irreducible_loss)
    epochs = tokens / spec.unique_tokens
    return Record(spec, State.STOPPED, steps, tokens, epochs, final)
