"""Lightning drives: it owns device, strategy and callbacks; the engine owns the step.

The LightningModule uses manual optimization and hands the engine one chunk of steps as one
training step. Lightning's own checkpoints, loggers, progress bar and step counter are off: they
would cost as much as a step of a small model, and its resume restores neither our data position
nor the branch's schedule.
"""

from __future__ import annotations

import gc
import itertools
import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.steps.determinism import determinism
from scalinglab.scaling.engine.steps.engine import Backward, ChunkResult
from scalinglab.scaling.engine.trainer.loop import Chunk, Training
from scalinglab.scaling.engine.trainer.member import pack_facts
from scalinglab.scaling.engine.trainer.stand_ins import stand_ins
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.state import Outcome
from scalinglab.scaling.training.endings import outcome, reason

with stand_ins():
    import lightning
    from lightning.pytorch.plugins.environments import LightningEnvironment, SLURMEnvironment
    from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy

for _name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(_name).setLevel(logging.WARNING)
# We return no optimizer on purpose, and chunks need no worker processes.
warnings.filterwarnings("ignore", message=".*configure_optimizers. returned .None.")
warnings.filterwarnings("ignore", message=".*does not have many workers.*")
warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")  # Lightning's own
warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
warnings.filterwarnings("ignore", message=".*`srun` command is available.*")  # we know where we are


class ChunkEngine(Protocol):
    """The methods of an engine that Lightning calls."""

    @property
    def module(self) -> nn.Module:
        """See ``Engine.module``."""

    def train(self, tokens_SkBT: np.ndarray, lr_Sk: np.ndarray, backward: Backward) -> ChunkResult:
        """See ``Engine.train``."""


class ChunkedTraining(Protocol):
    """The data set that Lightning drives: chunk after chunk until the run ends."""

    execution: ExecutionConfig

    @property
    def engine(self) -> ChunkEngine:
        """What trains a chunk."""

    @property
    def over(self) -> bool:
        """Whether there is nothing left to train."""

    def next_chunk(self) -> Chunk:
        """The next steps."""

    def absorb(self, result: ChunkResult, seconds: float) -> None:
        """Take in a trained chunk."""


class ChunkModule(lightning.LightningModule):
    """Hands chunks to the engine; the backward pass goes through Lightning's strategy."""

    def __init__(self, training: ChunkedTraining) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.training_run = training
        self.parameters_of_members = training.engine.module

    def training_step(self, tick: int, index: int) -> dict[str, Any]:
        """Train a chunk, which is one step to Lightning."""
        chunk = self.training_run.next_chunk()
        start = time.perf_counter()
        result = self.training_run.engine.train(chunk.tokens, chunk.lr, self.manual_backward)
        return {"result": result, "seconds": time.perf_counter() - start}

    def configure_model(self) -> None:
        """Nothing: Lightning shards models here, and ``engine.steps.sharded`` has done so."""

    def configure_optimizers(self) -> None:
        """The engine has its own."""


class RanksStrategy(DDPStrategy):
    """Lightning's processes and devices without its wrapper around the model.

    The wrapper averages each gradient during a backward pass, and takes only one pass a training
    step; ours makes many, and the engine averages its one buffer once a step.
    """

    def configure_ddp(self) -> None:
        """Leave the module as it is."""


class ShardsStrategy(ModelParallelStrategy):
    """Lightning's strategy for models that are in parts (FSDP2)."""

    def __init__(self, processes: int) -> None:
        super().__init__(data_parallel_size=processes, tensor_parallel_size=1)


class ChunkCallback(lightning.Callback):
    """Gives each trained chunk to the training, and stops Lightning when nothing is left."""

    def __init__(self, training: ChunkedTraining) -> None:
        self.training = training
        self._on_sigterm = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Any, module: Any) -> None:
        """Take SIGTERM back: Lightning's handler would raise in the middle of a run (we save)."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def on_train_batch_end(
        self, trainer: Any, module: Any, outputs: Any, batch: int, batch_idx: int
    ) -> None:
        """Record the chunk that was trained."""
        self.training.absorb(outputs["result"], outputs["seconds"])
        trainer.should_stop = self.training.over


def train(
    claims: Sequence[Claim],
    pins: dict[str, Sequence[int]],
    execution: ExecutionConfig,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Train claimed runs to their end, or until asked to stop.

    Parameters
    ----------
    claims : sequence of Claim
        One, or several that share shape, batch, length and start (a pack).
    pins : dict
        run_id -> steps whose checkpoints other runs wait for.
    execution : ExecutionConfig
        Device, threads, engine, how often to save.
    should_stop : callable
        Asked between chunks (about a second).

    Returns
    -------
    Outcome
        Done, interrupted, cancelled, failed (the run folder says why) or lost (another process has
        taken the run over).
    """
    torch.set_num_threads(execution.threads)
    for claim in claims:
        claim.expect_reports(execution.hang_seconds)
    training = None
    try:
        with determinism(execution.deterministic):
            training = Training(claims, pins, execution, should_stop)
            fit(training)
            return training.close()
    except BaseException as error:
        if training is not None:
            training.abandon(reason(error), error)
        else:
            for claim in claims:
                claim.release(reason(error), error, **pack_facts(claims))
        ended = outcome(error)
    # A failed attempt holds device memory in reference cycles; free it for the next one.
    del training
    gc.collect()
    return ended


def fit(training: ChunkedTraining) -> None:
    """Let Lightning drive a run of this process alone until it is over."""
    # One process of its own, also where SLURM variables say otherwise.
    _fit(training, devices=1, plugins=[LightningEnvironment()])


def fit_rank(training: ChunkedTraining, nodes: int) -> None:
    """Let Lightning drive one rank's part of a run; every rank of the group does the same.

    Parameters
    ----------
    training : ChunkedTraining
        What this rank does.
    nodes : int
        Nodes of the SLURM step whose tasks the ranks are; 1: children on one host.
    """
    environment = SLURMEnvironment(auto_requeue=False) if nodes > 1 else LightningEnvironment()
    processes = training.execution.processes
    strategy = ShardsStrategy(processes) if training.execution.shard else RanksStrategy()
    _fit(
        training,
        devices=processes // nodes,
        num_nodes=nodes,
        strategy=strategy,
        plugins=[environment],
    )


def _fit(training: ChunkedTraining, **placement: Any) -> None:
    if training.over:
        return
    trainer = lightning.Trainer(
        accelerator="cpu" if training.execution.device == "cpu" else "gpu",
        max_epochs=1,
        barebones=True,  # no logger, checkpoint, progress bar or summary of its own
        callbacks=[ChunkCallback(training)],
        **placement,
    )
    # Lightning fetches ahead, but the next chunk depends on what the last one did: its "loader"
    # only ticks, and the training gives the chunk.
    trainer.fit(ChunkModule(training), train_dataloaders=itertools.repeat(0))
