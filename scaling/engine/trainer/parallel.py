"""The ranks of one run: rank 0 leads an ordinary training, and the others follow its commands.

Rank 0 decides everything (the engine, where to start, the length of a chunk, when to validate, the
end) and sends it as commands, so that the ranks stay in step. Its ``Training`` knows nothing of the
others: it talks to an engine that hands out slices of batches and of validation windows. A follower
has no run folder, no claim and no data of its own. Gradients are averaged, each rank weighted by
its number of sequences: by ``scalinglab.scaling.engine.steps.reduction``, or, if each rank holds
only a part of the model (``execution.shard``), by ``scalinglab.scaling.engine.steps.sharded``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.network.stacked import StackedParameters
from scalinglab.scaling.engine.steps.determinism import determinism
from scalinglab.scaling.engine.steps.engine import (
    Backward,
    ChunkResult,
    Engine,
    Ran,
    State,
    StateTensors,
)
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.engine.steps.reduction import Buckets
from scalinglab.scaling.engine.steps.sharded import ShardedEngine
from scalinglab.scaling.engine.trainer.checkpoint import Checkpoint, save_checkpoint, save_part
from scalinglab.scaling.engine.trainer.group import Group
from scalinglab.scaling.engine.trainer.loop import Chunk, Training
from scalinglab.scaling.engine.trainer.member import MemberRun
from scalinglab.scaling.engine.trainer.pack_engine import engine_values
from scalinglab.scaling.engine.trainer.trainer import fit_rank
from scalinglab.scaling.engine.trainer.worker_link import LentClaim
from scalinglab.scaling.records.parts import new_parts, write_manifest
from scalinglab.scaling.records.state import Outcome
from scalinglab.scaling.training.rank_messages import RankWork


def train_rank(
    rank: int,
    claims: Sequence[LentClaim],
    work: RankWork,
    should_stop: Callable[[], bool],
    facts: dict[str, int],
) -> Outcome | None:
    """Do a rank's part of the work; returns the outcome, which only rank 0 knows.

    Parameters
    ----------
    facts : dict
        Receives ``micro_batch``, which the report of a failure names.
    """
    torch.set_num_threads(work.execution.threads)
    group = Group(rank, work.execution)
    with determinism(work.execution.deterministic):
        training: Leader | Follower
        if rank == 0:
            training = Leader(claims, work, should_stop, group, facts)
        else:
            training = Follower(work.execution, group, facts)
        fit_rank(training, work.nodes)
        outcome = training.close()
    group.leave()
    return outcome


class SharedState:
    """Rank 0's state: every rank asks for the tensors in one order, and rank 0 sends each then."""

    def __init__(self, group: Group, state: StateTensors | None) -> None:
        self.group, self.state = group, state

    def __getitem__(self, key: str) -> Tensor:
        return self.group.share(None if self.state is None else self.state[key])


class SharedEngine:
    """An engine that trains this rank's slice and averages over the ranks."""

    def __init__(self, values: dict[str, Any], execution: ExecutionConfig, group: Group) -> None:
        build = ENGINES[execution.engine]
        if execution.shard:
            build = partial(ShardedEngine, compiled=execution.engine == "compiled")
        self.engine: Engine = build(**values, device=execution.device)
        self.module = self.engine.module
        self._buckets: Buckets | None = None
        if isinstance(self.module, StackedParameters):  # else the backward pass averages
            self._buckets = self.engine.reduce = Buckets(self.module)
        self.group = group
        self.sequences = 0  # of a whole batch

    def train(self, tokens_SkBT: np.ndarray, lr_Sk: np.ndarray, backward: Backward) -> ChunkResult:
        """A chunk of this rank's slice: the losses of the whole batch, and its gradient norms."""
        share = tokens_SkBT.shape[2] / self.sequences
        if self._buckets is not None:
            self._buckets.share = share
        result = self.engine.train(tokens_SkBT, lr_Sk, backward)
        loss = self.group.sum(result.loss * share)
        return ChunkResult(loss.astype(np.float32), result.grad_norm)

    @property
    def ran(self) -> Ran:
        """See ``Engine.ran``."""
        return self.engine.ran

    def evaluate(self, windows_WT: np.ndarray, members: int) -> np.ndarray:
        """Sums of losses over the windows of all ranks, from this rank's part; float64 (k,)."""
        total = np.zeros(members)
        if len(windows_WT):
            total += self.engine.evaluate(windows_WT) * len(windows_WT)
        return self.group.sum(total)

    def load(self, member: int, state: StateTensors | None, steps_done: int) -> None:
        """Take a member's state from rank 0; others have none."""
        self.engine.load(member, SharedState(self.group, state), steps_done)

    def begin(self, member: int, names: Sequence[str], weights: StateTensors | None) -> None:
        """Take a member's initial weights from rank 0; others have none."""
        self.engine.begin(member, names, SharedState(self.group, weights))

    def save_part(self, member: int, path: Path) -> None:
        """Write this rank's part of a member's checkpoint."""
        save_part(path, self.engine.state(member))
        self.group.wait()


class LeadingEngine(SharedEngine):
    """Rank 0's engine: the interface of ``Engine``, with the other ranks behind it."""

    def __init__(self, values: dict[str, Any], execution: ExecutionConfig, group: Group) -> None:
        group.scatter([("build", (execution.engine, values))] * group.size)
        super().__init__(values, execution, group)
        self.members = len(values["members"])

    @property
    def steps_done(self) -> int:
        """Updates so far."""
        return self.engine.steps_done

    def train(self, tokens_SkBT: np.ndarray, lr_Sk: np.ndarray, backward: Backward) -> ChunkResult:
        """See ``Engine.train``; the tokens are those of the whole batch."""
        self.sequences = tokens_SkBT.shape[2]
        slices = np.array_split(tokens_SkBT, self.group.size, axis=2)
        own_slice, lr, _ = self.group.scatter(
            [("train", (tokens, lr_Sk, self.sequences)) for tokens in slices]
        )
        return super().train(own_slice, lr, backward)

    def evaluate(self, windows_WT: np.ndarray) -> np.ndarray:  # type: ignore[override]
        """See ``Engine.evaluate``."""
        even = len(windows_WT) - len(windows_WT) % self.group.size
        total = self._total(np.split(windows_WT[:even], self.group.size))
        # All measure the windows left over: ranks that hold parts of a model only run in step.
        total += self._total([windows_WT[even:]] * self.group.size) / self.group.size
        return total / len(windows_WT)

    def _total(self, slices: list[np.ndarray]) -> np.ndarray:
        """Sums of losses over all slices, one a rank."""
        commands = [("evaluate", (windows, self.members)) for windows in slices]
        own_slice, members = self.group.scatter(commands)
        return super().evaluate(own_slice, members)

    def load(self, member: int, state: StateTensors | None, steps_done: int) -> None:
        """See ``Engine.load``."""
        self.group.scatter([("load", (member, steps_done))] * self.group.size)
        super().load(member, state, steps_done)

    def begin(self, member: int, names: Sequence[str], weights: StateTensors | None) -> None:
        """See ``Engine.begin``."""
        self.group.scatter([("begin", (member, list(names)))] * self.group.size)
        super().begin(member, names, weights)

    def state(self, member: int) -> State:
        """See ``Engine.state``: all ranks have the same, or each its rows."""
        return self.engine.state(member)

    def save(self, path: Path, member: int, checkpoint: Checkpoint) -> Path:
        """Save a checkpoint, whose state is this rank's part, together with the others'."""
        parts = new_parts(path, self.group.size)
        self.group.scatter([("save", (member, part)) for part in parts])
        save_checkpoint(parts[0], checkpoint)
        self.group.wait()
        return write_manifest(path, parts)


class Leader(Training):
    """Rank 0's training: after each chunk it tells the others whether there is another."""

    # A training asks an engine also for measurements; those are refused with several processes.
    engine: LeadingEngine  # type: ignore[assignment]

    def __init__(
        self,
        claims: Sequence[LentClaim],
        work: RankWork,
        should_stop: Callable[[], bool],
        group: Group,
        facts: dict[str, int],
    ) -> None:
        def build(
            members: Sequence[MemberRun], execution: ExecutionConfig, micro_batch: int
        ) -> LeadingEngine:
            facts["micro_batch"] = micro_batch
            return LeadingEngine(engine_values(members, execution, micro_batch), execution, group)

        self.group = group
        self.writes_aside = not work.execution.shard  # parts are written by all ranks in step
        execution = work.execution
        super().__init__(claims, work.pins, execution, should_stop, build)  # type: ignore[arg-type]
        self._announce()

    def absorb(self, result: ChunkResult, seconds: float) -> None:
        """See ``Training.absorb``."""
        super().absorb(result, seconds)
        self._announce()

    def close(self) -> Outcome:
        """See ``Training.close``; the other ranks listen until it ends, as it may save."""
        outcome = super().close()
        self._announce()
        return outcome

    def write(self, path: Path, member: int, checkpoint: Checkpoint) -> Path:
        """See ``Training.write``."""
        if self.execution.shard:
            return self.engine.save(path, member, checkpoint)
        return super().write(path, member, checkpoint)

    def _announce(self) -> None:
        self.group.scatter([("over", self.over)] * self.group.size)


class Follower:
    """The training of any other rank: an engine, and rank 0's commands."""

    def __init__(self, execution: ExecutionConfig, group: Group, facts: dict[str, int]) -> None:
        self.execution, self.group = execution, group
        self.over = False
        _, (engine, values) = group.receive()
        facts["micro_batch"] = values["micro_batch"]
        self.members = len(values["members"])
        self.engine = SharedEngine(values, replace(execution, engine=engine), group)
        self._follow()

    def next_chunk(self) -> Chunk:
        """This rank's slice of the next steps."""
        _, (tokens, lr, self.engine.sequences) = self.group.receive()
        return Chunk(tokens, lr)

    def absorb(self, result: ChunkResult, seconds: float) -> None:
        """Follow rank 0 between chunks."""
        self._follow()

    def close(self) -> None:
        """Follow rank 0 at the end; only rank 0 records."""
        self._follow()

    def _follow(self) -> None:
        while True:
            kind, value = self.group.receive()
            if kind == "over":
                self.over = value
                return
            if kind == "evaluate":
                self.engine.evaluate(*value)
            elif kind == "save":
                self.engine.save_part(*value)
            elif kind == "begin":
                member, names = value
                self.engine.begin(member, names, None)
            else:
                member, steps_done = value
                self.engine.load(member, None, steps_done)
