"""What a record says of where and by which code a run was trained."""

from __future__ import annotations

from typing import Any

from scaling.config import ExecutionConfig
from scaling.records import machine
from scaling.records.fingerprint import code_fingerprint


def provenance(execution: ExecutionConfig, micro_batch: int) -> dict[str, Any]:
    """Machine, versions and code of this process, as plain values.

    Parameters
    ----------
    execution : ExecutionConfig
        How the run was executed.
    micro_batch : int
        Sequences that went through the model at once.
    """
    return {
        "machine": {
            "host": machine.host(),
            "processor": machine.processor(),
            "device": execution.device,
            "threads": execution.threads,
            "engine": execution.engine,
            "processes": execution.processes,
            "shard": execution.shard,
            "deterministic": execution.deterministic,
            "micro_batch": micro_batch,
            "peak_memory_bytes": machine.peak_memory_bytes(),
        },
        "versions": machine.versions(),
        "code": {"commit": machine.code_commit(), "fingerprint": code_fingerprint()},
    }
