"""One pack of claimed runs from its start to its end: chunks in, records out.

This file knows runs, checkpoints, events and records; the engine knows tensors; Lightning
(``scalinglab.scaling.engine.trainer.trainer``) drives. A pack of one is an ordinary run.

    training = Training(claims, pins, execution)
    while not training.over:
        chunk = training.next_chunk()                # up to the next event
        training.absorb(engine.train(chunk...), s)   # curve, validation, checkpoint, progress
    training.close()                                 # records and DONE, or the reason why not
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data.feed import Feed
from scalinglab.scaling.engine.steps.engine import ChunkResult, Engine
from scalinglab.scaling.engine.trainer.checkpoint import Checkpoint, save_checkpoint
from scalinglab.scaling.engine.trainer.member import MemberRun, pack_facts
from scalinglab.scaling.engine.trainer.pack_checkpoints import PackCheckpoints
from scalinglab.scaling.engine.trainer.pack_engine import build_engine
from scalinglab.scaling.extensions.used import run_fingerprint
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.provenance import provenance
from scalinglab.scaling.records.state import Outcome
from scalinglab.scaling.run.engine_choice import with_engine
from scalinglab.scaling.run.measurements import measured
from scalinglab.scaling.training.finish import finish
from scalinglab.scaling.training.micro_batch import micro_batch
from scalinglab.scaling.training.throughput import Clock, throughput

CHUNK_SECONDS = 1.0
CHUNK_BYTES = 128 * 2**20  # of the tokens of a chunk; the next one is prefetched, too


@dataclass(frozen=True)
class Chunk:
    """Tokens (steps, members, batch, context + 1) and learning rates (steps, members)."""

    tokens: np.ndarray
    lr: np.ndarray


class Training:
    """Trains the runs of `claims`, which share shape, batch, length and start.

    Parameters
    ----------
    claims : sequence of Claim
        Claims that this process holds.
    pins : dict
        run_id -> steps whose checkpoints other runs wait for.
    execution : ExecutionConfig
        Device, threads, time between checkpoints.
    should_stop : callable
        Called between chunks; True saves and ends the attempt as interrupted.
    build : callable
        Builds the engine, with the arguments of ``build_engine``.
    """

    writes_aside = True  # whether a thread may write checkpoints

    def __init__(
        self,
        claims: Sequence[Claim],
        pins: dict[str, Sequence[int]],
        execution: ExecutionConfig,
        should_stop: Callable[[], bool] = lambda: False,
        build: Callable[..., Engine] = build_engine,
    ) -> None:
        self.members = [MemberRun(c, pins.get(c.folder.run_id, ())) for c in claims]
        self.pack = pack_facts(claims)
        self.execution = execution = with_engine(execution, self.members[0].spec)
        self.should_stop = should_stop
        self.stopped = self.lost = self.cancelled = False
        self.store = self.members[0].open_store()
        self.micro_batch = self._micro_batch()
        self.engine = build(self.members, execution, self.micro_batch)
        self.steps = self.members[0].steps
        self.checkpoints = PackCheckpoints(
            self.members,
            self.engine,
            self.write,
            self._report,
            execution.checkpoint_seconds,
            self.writes_aside,
        )
        self.start = self.checkpoints.start
        orders: list[Any] = [m.order(self.store) for m in self.members]  # a store knows its kind
        self._tokens = partial(
            self.store.training_batches,
            orders,
            batch=self.members[0].spec.batch,
            context=self.context,
        )
        self._feed = Feed(self._tokens)
        # The run's own validation sets, one a pool, and further ones: name -> windows.
        self._own, self._further = self.members[0].validation_sets(self.store, execution)
        self._measurements = measured(execution, self.members[0].spec.architecture)
        self._chunk_steps = 1
        self._most_steps = CHUNK_BYTES // self._tokens(0, 1).nbytes
        self._seconds = {"steps": 0.0, "validation": 0.0}  # of this attempt
        self._clock = Clock()
        self._validate()  # the checkpoint of another run may lack the validation at its step
        self._report()

    @property
    def context(self) -> int:
        """Tokens of a sequence, without its last target."""
        return self.members[0].spec.shape.context

    @property
    def step(self) -> int:
        """Updates done."""
        return self.engine.steps_done

    @property
    def over(self) -> bool:
        """Whether there is nothing left to train."""
        return self.step >= self.steps or self.stopped

    def next_chunk(self) -> Chunk:
        """The next steps, up to the next event or for about a second."""
        steps = self._length(self.step)
        tokens = self._feed.take(self.step, steps)
        if after := self._length(self.step + steps):
            self._feed.expect(self.step + steps, after)
        if "updates" in self.execution.measure:
            end = self.step + steps
            self.engine.watched = any(end in m.validation for m in self._running())
        lr = [m.lr_of(self.step, self.step + steps) for m in self.members]
        return Chunk(tokens, np.stack(lr, 1))

    def absorb(self, result: ChunkResult, seconds: float) -> None:
        """Process a trained chunk: curve, divergence, validation, checkpoints, progress."""
        for i, member in enumerate(self.members):
            if not member.finished:
                member.extend(result.loss[:, i], result.grad_norm[:, i])
        self._seconds["steps"] += seconds
        self._clock.add(len(result.loss), seconds)
        self._pace(max(seconds / len(result.loss), 1e-6))
        self._validate()
        for member in self._running():
            if not member.claim.is_current():  # another process has taken the run over
                member.claim.release(Outcome.LOST)
                member.finished = self.lost = True
            elif member.curve.diverged_at() is not None:
                self._finish(member)
            elif member.claim.is_cancelled() and self.step < self.steps:
                self._cancel(member)
        self.checkpoints.save_if_due()
        self._report()
        self.stopped = self.should_stop() or not self._running()

    def close(self) -> Outcome:
        """Finish or release every run that is still held."""
        with closing(self._feed):
            if self._running() and self.step < self.steps:
                self.checkpoints.save_last()
                for member in self._running():
                    member.claim.release(Outcome.INTERRUPTED)
                return Outcome.INTERRUPTED
            for member in self._running():
                self._finish(member)
        if self.cancelled:
            return Outcome.CANCELLED
        return Outcome.LOST if self.lost else Outcome.DONE

    def abandon(self, reason: Outcome, error: BaseException | None) -> None:
        """Release every run that is still held, with the reason."""
        with closing(self._feed):
            self.checkpoints.drop()
            facts = {
                "micro_batch": self.micro_batch,
                **self.pack,
                "device": machine.device_name(self.execution.device),
            }
            for member in self._running():
                if self.step > self.start:  # the steps of an incomplete chunk are not reported yet
                    member.claim.report_end(self.step)
                member.claim.release(reason, error, **facts)

    def _micro_batch(self) -> int:
        """Sequences at once in each process: the smallest micro-batch of all members."""
        share = math.ceil(self.members[0].spec.batch / self.execution.processes)
        return min(micro_batch(m.claim, self.execution.micro_batch, share) for m in self.members)

    # ------------------------------------------------------------------ parts of a chunk

    def _running(self) -> list[MemberRun]:
        return [m for m in self.members if not m.finished]

    def _length(self, step: int) -> int:
        """Steps of a chunk that begins after `step`, up to the next event; 0 at the end."""
        events = {s for m in self._running() for s in (*m.validation, *m.pins) if s > step}
        return min(min(events, default=step) - step, self._chunk_steps)

    def _pace(self, seconds: float) -> None:
        """Set the steps of a chunk from the seconds of a step.

        A small difference changes nothing, so that the prefetched chunk has the right length.
        """
        ideal = CHUNK_SECONDS / seconds
        if not 0.8 < ideal / self._chunk_steps < 1.25:
            self._chunk_steps = max(1, min(int(ideal), self._most_steps))

    def _validate(self) -> None:
        """Validate the members that are due at this step, with all measurements."""
        due = [
            (i, m)
            for i, m in enumerate(self.members)
            if not m.finished and self.step in m.validation and self.step not in m.curve.validation
        ]
        if not due:
            return
        start = time.perf_counter()
        own = {name: self.engine.evaluate(windows) for name, windows in self._own.items()}
        losses = np.mean(list(own.values()), axis=0)  # pools count equally, whatever their shares
        further = {name: pool_losses for name, pool_losses in own.items() if name}
        further |= {name: self.engine.evaluate(windows) for name, windows in self._further.items()}
        self._seconds["validation"] += time.perf_counter() - start
        measurements: list[dict[str, float]] = [{} for _ in self.members]
        if self._measurements and self.step > self.start:
            measurements = self.engine.measure(self._measurements, self._tokens(self.step, 1)[0])
        for i, member in due:
            member.curve.validation[self.step] = float(losses[i])
            columns = {f"loss.{name}": float(loss_k[i]) for name, loss_k in further.items()}
            columns |= measurements[i]
            if columns:
                member.curve.measured[self.step] = columns

    def _cancel(self, member: MemberRun) -> None:
        """Save and release a run that a person cancelled."""
        self.checkpoints.save_now([member])
        self._report()
        member.claim.release(Outcome.CANCELLED)
        member.finished = self.cancelled = True

    def write(self, path: Path, member: int, checkpoint: Checkpoint) -> Path:
        """Write a member's checkpoint; returns its path."""
        save_checkpoint(path, checkpoint)
        return path

    # ------------------------------------------------------------------ the end

    def _finish(self, member: MemberRun) -> None:
        """Write curve, record and DONE of a member, after its checkpoints are on the disk."""
        self.checkpoints.settle(wait=True)
        is_first = finish(member.claim, member.spec, member.curve, member.lr, self._facts(member))
        member.finished = True  # only now: a claim whose `finish` failed must be released
        if is_first:
            member.remove_latest(keep=None)

    def _facts(self, member: MemberRun) -> dict[str, Any]:
        """Facts of the attempts for the record; the curve depends on none of them."""
        steps_per_second = self._clock.steps_per_second
        tokens = member.spec.tokens_per_step * len(self.members)
        rate = None if steps_per_second is None else tokens * steps_per_second  # of all members
        device = machine.device_name(self.execution.device)
        return {
            "started_at_step": self.start,
            "throughput": {
                "seconds": member.earlier_seconds + self._seconds_a_member(),
                "steps": self.step - self.start,
                "members": len(self.members),
                **throughput(rate, member.spec.flops, device, self.execution.processes),
            },
            **provenance(
                self.execution,
                self.micro_batch,
                self.engine.ran.engine,
                self.engine.ran.why,
                [*member.earlier_packs, len(self.members)],
                run_fingerprint(member.spec.science),
            ),
        }

    def _seconds_a_member(self) -> float:
        """A member's share of this attempt's time in steps and validation."""
        return sum(self._seconds.values()) / len(self.members)

    def _report(self) -> None:
        """Report the progress of each member; ``saved`` is the step of the last checkpoint."""
        progress = {
            "start": self.start,
            "steps": self.steps,
            "saved": self.checkpoints.saved,
            **self.pack,
        }
        trained = self.step - self.start
        if trained:
            tokens = trained * self.members[0].spec.tokens_per_step
            progress |= {
                "step": self.step,
                "tokens_per_second": tokens / self._seconds["steps"],
                "seconds": self._seconds_a_member(),
            }
        for member in self._running():
            curve: dict[str, Any] = {"validation": member.curve.validation}
            if trained:
                curve["loss"] = float(member.curve.loss[-1])
            member.claim.report(progress | curve)
