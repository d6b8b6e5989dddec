"""The provenance of a record: machine, versions and code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.records import machine


def provenance(
    execution: ExecutionConfig,
    micro_batch: int,
    ran: str,
    why: str | None,
    packs: Sequence[int],
    fingerprint: str,
) -> dict[str, Any]:
    """Machine, versions and code of this process, as plain values.

    Parameters
    ----------
    execution : ExecutionConfig
        The execution of the run.
    micro_batch : int
        Sequences in one forward and backward pass.
    ran : str
        The engine that made the steps.
    why : str or None
        Why it is not, or only partly, the engine of `execution`.
    packs : sequence of int
        For each attempt that made steps, the members of the run's pack.
    fingerprint : str
        The fingerprint of the code that makes its numbers.
    """
    return {
        "machine": {
            "host": machine.host(),
            "processor": machine.processor(),
            "device": execution.device,
            "threads": execution.threads,
            "engine": ran,
            "engine_asked": execution.engine,
            "engine_why": why,
            "replayed": ran.startswith("captured"),
            "packs": list(packs),
            "processes": execution.processes,
            "shard": execution.shard,
            "deterministic": execution.deterministic,
            "micro_batch": micro_batch,
            "peak_memory_bytes": machine.peak_memory_bytes(),
        },
        "versions": machine.versions(),
        "code": {"commit": machine.code_commit(), "fingerprint": fingerprint},
    }
