"""The run.json of a resolved run, which is all that a worker needs, and the run's trainer."""

from __future__ import annotations

from dataclasses import asdict

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data.mixed import Store, bytes_per_token, known_loss, unigram_entropy
from scalinglab.scaling.records.initial_weights import KEY
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.run.resolve import Run


def trainer_of(run: RunSpec, execution: ExecutionConfig) -> str:
    """``module:function`` of a run's trainer: (claims, pins, execution, should_stop) -> outcome."""
    if run.is_command:
        return "scalinglab.scaling.training.command:train"
    if execution.processes > 1:
        return "scalinglab.scaling.training.ranks:train"
    return "scalinglab.scaling.engine.trainer.trainer:train"


def describe(run: Run, store: Store) -> RunSpec:
    """The content of run.json; a job composes and derives nothing."""
    windows = run.config.data.validation_tokens, run.shape.context
    initial = {} if run.initial is None else {KEY: run.initial.facts()}
    return RunSpec.from_dict(
        {
            "run_id": run.run_id,
            "family_id": run.family_id,
            "science": run.science,
            "config": asdict(run.config),
            "shape": asdict(run.shape),
            "counts": run.counts,
            "flops": run.flops,
            "lr_peak": run.lr,
            "tokens_per_step": run.tokens_per_step,
            "unique_tokens": run.unique_tokens,
            "bytes_per_token": bytes_per_token(store, *windows),
            "irreducible_loss": known_loss(store, *windows),
            "excluded": list(store.manifest.excluded),
            **initial,
            "unigram_entropy": unigram_entropy(store, *windows),
        }
    )
