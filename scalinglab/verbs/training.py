"""The verbs of one run and of its data."""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.records.state import Outcome, State
from scalinglab.verb import INTERRUPTED, Verb, open_console, say

if TYPE_CHECKING:
    from scalinglab.scaling.records.attempt import Progress
    from scalinglab.terminal import Screen


def train_verb(arguments: Sequence[str]) -> int:
    """Train one run in this process: scaling train model.width=64 schedule=cosine tokens=1e6.

    A finished run is not trained again; one that was begun goes on from its last checkpoint.
    """
    from scalinglab.compose import compose
    from scalinglab.scaling.config import RunConfig, from_dict
    from scalinglab.scaling.data.sources import open_store
    from scalinglab.scaling.data.validation import further_stores
    from scalinglab.scaling.records.run_folder import RunFolder
    from scalinglab.scaling.run.describe import describe
    from scalinglab.scaling.run.memory import check_memory
    from scalinglab.scaling.run.resolve import resolve
    from scalinglab.scaling.training.ranks import slurm_nodes

    composed = compose(arguments)
    if composed.get("study"):
        raise ConfigError("scaling train trains one run; a study is trained by scaling launch")
    fields = RunConfig.__dataclass_fields__
    config = from_dict(RunConfig, {k: v for k, v in composed.items() if k in fields})
    outputs = Path(composed["outputs"]).absolute()
    store = open_store(config.data, outputs)
    run = resolve(config, store.manifest)
    check_memory(run.architecture, run.config, nodes=slurm_nodes())
    further_stores(
        config.execution.validate,
        outputs,
        store.manifest.vocab,
        config.data.validation_tokens,
        run.shape.context,
    )
    folder = RunFolder(outputs / "runs" / run.run_id)
    folder.describe(describe(run, store))
    console = open_console()
    say(
        console,
        f"run {run.run_id}: N {run.counts['n_matmul']:,} (n_matmul), D {run.tokens:,}, "
        f"C {run.C:.2e}, peak LR {run.lr:.4g}, {run.steps:,} steps",
    )
    outcome = Outcome.DONE if folder.done() else _train(console, folder, config.execution)
    return _say_outcome(console, folder, outcome)


def _train(console: Screen, folder: Any, execution: Any) -> Outcome:
    from scalinglab.scaling.records.claim import Claim
    from scalinglab.scaling.run.describe import trainer_of
    from scalinglab.sweeps.launch.stop_flag import StopFlag

    spec = folder.spec()
    if not spec.is_command:
        from scalinglab.scaling.engine.steps.eager import check_device

        check_device(execution.device)
    claim = Claim.acquire(folder, execution.lease_seconds)
    if claim is None:
        return Outcome.LOST
    module, _, name = trainer_of(spec, execution).partition(":")
    train = getattr(importlib.import_module(module), name)
    stop = StopFlag()
    stop.install()
    interval = 0.5 if console.is_live else 5.0
    said = time.monotonic()

    def between_chunks() -> bool:
        nonlocal said
        if time.monotonic() - said >= interval:
            said = time.monotonic()
            show(folder.progress(claim.number))
        return stop()

    def show(said: Progress) -> None:
        if said.step is None:
            return
        console.fleeting(
            f"step {said.step:,}/{said.steps:,}  loss {said.loss:.4f}  "
            f"{said.tokens_per_second:,.0f} tokens/s"
        )

    try:
        return train([claim], {}, execution, between_chunks)
    finally:
        stop.uninstall()


def _say_outcome(console: Screen, folder: Any, outcome: Outcome) -> int:
    if outcome == Outcome.LOST:
        owner = folder.latest_attempt().owner
        say(console, f"process {owner.pid} on {owner.host} is training it")
        return 1
    if outcome == Outcome.INTERRUPTED:
        say(console, "interrupted; the run is saved, the same command goes on")
        return INTERRUPTED
    if outcome != Outcome.DONE:
        end = folder.latest_attempt().end
        say(console, f"{end.reason}: {end.error}\n{end.traceback}")
        return 1
    record = folder.record()
    final = record.final
    if record.status == State.DIVERGED:
        say(console, f"diverged after {record.steps:,} steps: recorded as a result")
    else:
        say(
            console,
            f"validation loss {final.validation_loss:.4f} nats/token, "
            f"{final.validation_bpb:.4f} bits/byte; record in {folder.path}",
        )
    return 0


def data_verb(arguments: Sequence[str]) -> int:
    """Show the token sources, make the store of the one that is chosen (data=markov), show all."""
    from dataclasses import asdict

    import pandas as pd

    from scalinglab.compose import compose
    from scalinglab.scaling.config import DataConfig, from_dict
    from scalinglab.scaling.data.manifest import Manifest, read_manifest
    from scalinglab.scaling.data.sources import SOURCES, open_store
    from scalinglab.scaling.records.atomic import folders_in
    from scalinglab.scaling.records.damage import DamagedFile, tell

    composed = compose(arguments)
    outputs = Path(composed["outputs"]).absolute()
    open_store(from_dict(DataConfig, composed["data"], "data"), outputs)
    stores: dict[str, Manifest] = {}
    for folder in folders_in(outputs / "data"):
        try:
            stores[folder.name] = read_manifest(folder)
        except FileNotFoundError:
            continue
        except DamagedFile as error:
            tell(error, "this store is not shown")
    rows = [asdict(manifest) | {"folder": name} for name, manifest in stores.items()]
    frame = pd.DataFrame(
        {
            "store": [r["folder"] for r in rows],
            "vocab": [r["vocab"] for r in rows],
            "train tokens": [f"{r['train_tokens']:,}" for r in rows],
            "validation tokens": [f"{r['validation_tokens']:,}" for r in rows],
            "content": [r["content_hash"] for r in rows],
            "facts": [", ".join(f"{k} {v}" for k, v in r["facts"].items()) for r in rows],
        }
    )
    console = open_console()
    console.table(frame, text="facts")
    for name, source in SOURCES.items():
        say(console, f"{name}: {(source.__doc__ or '').splitlines()[0].replace('``', '')}")
    return 0


VERBS = {
    "train": Verb(
        "train one run in this process",
        "scaling train [model.width=64 schedule=cosine tokens=1e6 ...]",
        train_verb,
    ),
    "data": Verb("show the token sources and stores", "scaling data [data=markov]", data_verb),
}
