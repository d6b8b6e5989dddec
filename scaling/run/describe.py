"""run.json: all that a worker needs to train a run, as plain values; and which trainer does."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data.sources import irreducible_loss
from scalinglab.scaling.data.store import TokenStore
from scalinglab.scaling.run.resolve import Run


def trainer_of(science: dict[str, Any], execution: ExecutionConfig) -> str:
    """``module:function`` that trains a run; all take (claims, pins, execution, should_stop)."""
    if is_command(science):
        return "scalinglab.scaling.training.command:train"
    if execution.processes > 1:
        return "scalinglab.scaling.training.ranks:train"
    return "scalinglab.scaling.engine.trainer.trainer:train"


def is_command(science: dict[str, Any]) -> bool:
    """Whether a program that is not ours trains the run; the oldest runs lack the key."""
    return science.get("trainer", {}).get("kind") == "command"


def describe(run: Run, store: TokenStore) -> dict[str, Any]:
    """The content of run.json; nothing is composed or derived again inside a job."""
    validation_tokens = run.config.data.validation_tokens
    return {
        "run_id": run.run_id,
        "family_id": run.family_id,
        "science": run.science,
        "config": asdict(run.config),
        "shape": asdict(run.shape),
        "counts": run.counts,
        "flops": run.flops,
        "lr_peak": run.lr,
        "steps": run.steps,
        "tokens": run.tokens,
        "tokens_per_step": run.tokens_per_step,
        "unique_tokens": run.unique_tokens,
        "bytes_per_token": store.manifest.bytes_per_token,
        "irreducible_loss": irreducible_loss(store, validation_tokens, run.shape.context),
    }
