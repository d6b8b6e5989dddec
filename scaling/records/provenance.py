"""What a record says of where and by which code a run was trained."""

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
        How the run was executed.
    micro_batch : int
        Sequences that went through the model at once.
    ran : str
        The engine that made the steps.
    why : str or None
        Why it is not, or not in all of a step, the one of `execution`.
    packs : sequence of int
        Members of the pack that the run was in, 1 alone, of each attempt that made steps.
    fingerprint : str
        Of the code that makes its numbers.
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
