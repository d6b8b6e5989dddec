"""The record of a run for the analysis, a JSON file next to the curve, written and read here."""

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
        The curve of the whole run, or up to its divergence.
    **facts
        Facts of the attempt: status, attempt, timing, machine, versions.
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
    """Losses at the end; None if they were not measured, or are unknown."""

    train_loss: float | None = None
    validation_loss: float | None = None
    validation_bpb: float | None = None
    irreducible_loss: float | None = None
    unigram_entropy: float | None = None  # of a model that knows the frequency of each token


@dataclass(frozen=True)
class Throughput:
    """Throughput of a run; rates are those of all members of its pack together.

    Attributes
    ----------
    seconds : float
        The run's share of the time in steps and validation, over all attempts.
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
    """The code that trained a run."""

    commit: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True)
class Record:
    """The record of a run that has ended.

    Attributes
    ----------
    spec : RunSpec
        The run.
    status : State
        Done or diverged; stopped if a rule ended it (`stopped_record`).
    steps, tokens : int
        The trained steps and tokens.
    epochs : float
        Of its pool.
    final : Final
    measured : mapping of str to list
        Measurements during training: name -> numbers, the first is ``step``; None if missing.
    pools : mapping
        Pool -> tokens, share, unique tokens and epochs; empty for a single source.
    extra : mapping of str to float
        Open columns: further numbers of the program that trained or probed the run.
    counts_from : str or None
        The program that reported the counts or FLOPs of `spec`; None: they are computed.
    attempt, started_at_step : int
        The attempt that ended the run, and its first step.
    throughput : Throughput
    machine : Machine
    versions : mapping
        Package -> version.
    code : Code
    plain : mapping
        The content of the file, for tables that show everything.
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
        """The open columns: name -> number of everything measured at the end or reported."""
        steps = self.measured.get("step", ())
        at_end: dict[str, float | None] = {}
        if steps and steps[-1] == self.steps:
            at_end = {name: row[-1] for name, row in self.measured.items() if name != "step"}
        drawn = {f"{key}.{p}": v for p, pool in self.pools.items() for key, v in pool.items()}
        return {**at_end, **drawn, **self.extra}


def read_record(path: Path, record: Any) -> Record:
    """The record in a file; later keys that an old one lacks have their defaults.

    Parameters
    ----------
    path : Path
        The file.
    record : dict
        Its content.

    Raises
    ------
    DamagedFile
        If it is not a record.
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
    """The record of a run that a rule stopped: without final losses, with its tokens so far."""
    tokens = steps * spec.tokens_per_step
    final = Final(irreducible_loss=spec.irreducible_loss)
    epochs = tokens / spec.unique_tokens
    return Record(spec, State.STOPPED, steps, tokens, epochs, final)
