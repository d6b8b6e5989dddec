"""The whole step as one CUDA graph: captured once, replayed for every step of a chunk.

Small models are bound by the launches of their many kernels; a replay is one launch. Forward and
backward pass, clipping and optimizer read the step's tokens, LR and number from buffers that lie
still. Not yet run on a GPU, where its tests carry the mark ``gpu``; so a graph is not trusted
before it has replayed, from the same state, the steps that were run before its capture.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from scalinglab.scaling.engine.steps.compiled import CompiledEngine
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Backward, Ran
from scalinglab.scaling.engine.steps.reduction import Alone

log = logging.getLogger(__name__)
HAVE_GRAPHS = ("cuda",)  # kinds of devices
# Steps before a capture, in which kernels are compiled and libraries take their work space, and
# after it: the second's loss tells of the first's update, the third's of moments.
REHEARSED = 3
REHEARSAL_LR = 1e-3  # small enough that what differs by rounding does not grow in so few steps
# How far a replay may be from the steps themselves, relative: some times as far as these are from
# themselves when they are run again (a GPU need not add up in one order), and never less than what
# another order of sums makes of loss and gradient norm in this precision.
SPREADS = 4
FLOORS = {"fp32": (1e-4, 1e-2), "tf32": (1e-3, 2e-2), "bf16": (2e-3, 5e-2)}


class CapturedEngine(EagerEngine):
    """Steps of an ``EagerEngine``, replayed; equal to rounding.

    The backward pass is torch's own, not the injected one: this is for one process and one device.
    Where a step cannot be captured, or its replay is another step, none is replayed, and one line
    of the log says why.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Tensor | None = None  # where the graph leaves losses and gradient norms
        self._stream: torch.cuda.Stream | None = None  # of its captures: torch's own is shared
        self._failed: str | None = None  # what the only try at a capture said
        self._said: str | None = None

    def _reason(self) -> str | None:
        """Why its steps cannot be captured; None if they can."""
        if not isinstance(self.reduce, Alone):
            return "its gradients are averaged over processes"
        if self.module.weights.device.type not in HAVE_GRAPHS:
            return "there are graphs on CUDA devices only"
        if not self._optimizer.capturable:
            kind = type(self._optimizer).__name__
            return f"what {kind} does depends on the number of the step"
        return self._failed

    @property
    def ran(self) -> Ran:
        """See ``Engine.ran``."""
        below = super().ran
        if self._graph is None:
            return Ran(below.engine, self._reason() or below.why)
        name = "captured" if below.engine == "eager" else f"captured_{below.engine}"
        return Ran(name, below.why)

    def step(self, tokens_kBT: Tensor, lr_k: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        """See ``Engine.step``."""
        new = self._graph is None or self._tokens.shape != tokens_kBT.shape
        if new and self._reason() is None:
            self._capture(tokens_kBT, lr_k)
        if reason := self._reason():
            if reason != self._said:
                log.warning("steps of the captured engine are not replayed: %s", reason)
            self._said = reason
            return super().step(tokens_kBT, lr_k, backward)
        self.steps_done += 1
        losses_k, norms_k = self._replay(tokens_kBT, lr_k, self.steps_done).clone()
        return losses_k, norms_k

    def _replay(self, tokens_kBT: Tensor, lr_k: Tensor, count: int) -> Tensor:
        """One step, whose number is `count`: losses and gradient norms, (2, k)."""
        self._fill(tokens_kBT, lr_k, count)
        assert self._graph is not None and self._result is not None  # `step` has captured it
        self._graph.replay()
        return self._result

    def _fill(self, tokens_kBT: Tensor, lr_k: Tensor, count: int) -> None:
        self._tokens.copy_(tokens_kBT)
        self._lr.copy_(lr_k)
        self._count.fill_(count)

    def _one(self) -> Tensor:
        """One step on what lies in the buffers; losses and gradient norms, (2, k)."""
        self.module.clear_gradient()
        self._keys_k = self._keys(self._count)
        losses_k = self._accumulate(self._tokens, Tensor.backward)
        return torch.stack([losses_k, self._update(self._lr, self._count)])

    # ------------------------------------------------------------------ the capture

    def _capture(self, tokens_kBT: Tensor, lr_k: Tensor) -> None:
        """Record one step and try it; weights and moments are as they were."""
        self._tokens, self._lr = tokens_kBT.clone(), lr_k.clone()
        self._count = torch.ones((), dtype=torch.float64, device=lr_k.device)
        self._graph = self._result = None  # a graph that dies takes its stream's work space along
        self._stream = self._stream or torch.cuda.Stream()
        try:
            expected = self._rehearsed(self._aside, tokens_kBT)
            again = self._rehearsed(self._aside, tokens_kBT)
            self._graph, self._result = self._recorded()
            replayed = self._rehearsed(self._replay, tokens_kBT)
            self._failed = difference(
                replayed, expected, limits(expected, again, FLOORS[self.options.precision])
            )
        except torch.OutOfMemoryError:  # a smaller micro-batch may do
            raise
        except RuntimeError as error:
            self._failed = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        if self._failed:
            self._graph = self._result = None
            gc.collect()
            torch.cuda.empty_cache()  # of what was captured

    def _rehearsed(
        self, step: Callable[[Tensor, Tensor, int], Tensor], tokens_kBT: Tensor
    ) -> Tensor:
        """A few steps and none of their traces: losses and gradient norms, (steps, 2, k)."""
        lr_k = torch.full_like(self._lr, REHEARSAL_LR)
        held = [tensor for _, tensor in self._parts()]
        before = [tensor.to("cpu", copy=True) for tensor in held]  # a device may be full
        try:
            # Each has other tokens, another LR and another number: none may be part of the graph.
            return torch.stack(
                [
                    step(tokens_kBT.roll(s, -1), lr_k * (s + 1), self.steps_done + s + 1).clone()
                    for s in range(REHEARSED)
                ]
            )
        finally:
            for tensor, value in zip(held, before, strict=True):
                tensor.copy_(value)

    def _aside(self, tokens_kBT: Tensor, lr_k: Tensor, count: int) -> Tensor:
        """A step on another stream, as before a capture it must be."""
        self._fill(tokens_kBT, lr_k, count)
        assert self._stream is not None  # `_capture` has made it
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = self._one()
        torch.cuda.current_stream().wait_stream(self._stream)
        return result

    def _recorded(self) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """A graph of one step, and what it writes its result to."""
        graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # Other threads of a worker may call CUDA: only the calls of this one count.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                result = self._one()
        finally:
            torch.cuda.set_stream(before)  # which a capture that fails does not do
        return graph, result


class CapturedCompiledEngine(CapturedEngine, CompiledEngine):
    """Steps of a ``CompiledEngine``, replayed: few kernels and one launch."""


def limits(one: Tensor, other: Tensor, floors: Sequence[float]) -> list[float]:
    """What two rehearsals, (steps, 2, k), allow a replay: of losses, and of gradient norms."""
    spread = ((one - other).abs() / one.abs()).nan_to_num(0.0, 0.0, 0.0).amax((0, 2))
    return [max(floor, SPREADS * own) for floor, own in zip(floors, spread.tolist(), strict=True)]


def difference(found: Tensor, expected: Tensor, allowed: Sequence[float]) -> str | None:
    """What of replayed steps is not that of the steps themselves, both (steps, 2, k)."""
    for i, (name, share) in enumerate(zip(("loss", "gradient norm"), allowed, strict=True)):
        near = torch.isclose(found[:, i], expected[:, i], rtol=share, atol=0.0, equal_nan=True)
        if not near.all():
            return (
                f"the {name} of {REHEARSED} replayed steps is {found[:, i].tolist()}, of the "
                f"steps themselves {expected[:, i].tolist()}"
            )
    return None
