"""The whole step as one CUDA graph: captured once, replayed for every step of a chunk.

Small models are bound by the launches of their many kernels; a replay is one launch. Forward and
backward pass, clipping and optimizer read the step's tokens, LR and number from buffers at fixed
addresses. This has not yet run on a GPU (its tests carry the mark ``gpu``). So a graph is used only
after it has replayed, from the same state, the steps that were run before its capture.
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
# Steps before a capture, in which kernels are compiled and libraries allocate their work space, and
# after it. The loss of the second depends on the first update, that of the third on the moments.
REHEARSED = 3
REHEARSAL_LR = 1e-3  # small enough that differences by rounding do not grow in so few steps
# How far a replay may be from the steps themselves, relative: SPREADS times as far as these are
# from each other when they are run again (a GPU need not add up in one order), and never less than
# FLOORS, what another order of sums changes in loss and gradient norm at this precision.
SPREADS = 4
FLOORS = {"fp32": (1e-4, 1e-2), "tf32": (1e-3, 2e-2), "bf16": (2e-3, 5e-2)}


class CapturedEngine(EagerEngine):
    """Steps of an ``EagerEngine``, replayed; equal to rounding.

    The backward pass is torch's own, not the injected one: this is for one process and one device.
    If a step cannot be captured, or its replay gives other numbers, steps are run one by one, and
    one line of the log says why.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._result: Tensor | None = None  # where the graph leaves losses and gradient norms
        self._stream: torch.cuda.Stream | None = None  # of its captures: torch's own is shared
        self._failed: str | None = None  # why the only attempt at a capture failed
        self._logged: str | None = None  # the reason that was logged last

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
        is_captured = self._graph is not None and self._tokens.shape == tokens_kBT.shape
        if not is_captured and self._reason() is None:
            self._capture(tokens_kBT, lr_k)
        if reason := self._reason():
            if reason != self._logged:
                log.warning("steps of the captured engine are not replayed: %s", reason)
            self._logged = reason
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

    def _buffer_step(self) -> Tensor:
        """One step on the contents of the buffers: losses and gradient norms, (2, k)."""
        self.module.clear_gradient()
        self._keys_k = self._keys(self._count)
        losses_k = self._accumulate(self._tokens, Tensor.backward)
        return torch.stack([losses_k, self._update(self._lr, self._count)])

    # ------------------------------------------------------------------ the capture

    def _capture(self, tokens_kBT: Tensor, lr_k: Tensor) -> None:
        """Record one step and test its replay; weights and moments stay as they were."""
        self._tokens, self._lr = tokens_kBT.clone(), lr_k.clone()
        self._count = torch.ones((), dtype=torch.float64, device=lr_k.device)
        self._graph = self._result = None  # freeing a graph frees the work space of its stream
        self._stream = self._stream or torch.cuda.Stream()
        try:
            expected = self._rehearsed(self._aside, tokens_kBT)
            again = self._rehearsed(self._aside, tokens_kBT)
            self._graph, self._result = self._recorded()
            replayed = self._rehearsed(self._replay, tokens_kBT)
            self._failed = difference(
                replayed, expected, limits(expected, again, FLOORS[self.options.precision])
            )
        except torch.OutOfMemoryError:  # a smaller micro-batch may fit
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
        """Losses and gradient norms of a few steps, which are undone: (steps, 2, k)."""
        lr_k = torch.full_like(self._lr, REHEARSAL_LR)
        tensors = [tensor for _, tensor in self._parts()]
        saved = [tensor.to("cpu", copy=True) for tensor in tensors]  # a device may be full
        try:
            # Tokens, LR and number differ from step to step: a graph that holds one is noticed.
            return torch.stack(
                [
                    step(tokens_kBT.roll(s, -1), lr_k * (s + 1), self.steps_done + s + 1).clone()
                    for s in range(REHEARSED)
                ]
            )
        finally:
            for tensor, before in zip(tensors, saved, strict=True):
                tensor.copy_(before)

    def _aside(self, tokens_kBT: Tensor, lr_k: Tensor, count: int) -> Tensor:
        """A step on the stream of the capture, as CUDA wants it before one."""
        self._fill(tokens_kBT, lr_k, count)
        assert self._stream is not None  # `_capture` has made it
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            result = self._buffer_step()
        torch.cuda.current_stream().wait_stream(self._stream)
        return result

    def _recorded(self) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """A graph of one step, and the tensor to which it writes its result."""
        graph, before = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            # Other threads of a worker may call CUDA: only the calls of this one count.
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                result = self._buffer_step()
        finally:
            torch.cuda.set_stream(before)  # which a capture that fails does not do
        return graph, result


class CapturedCompiledEngine(CapturedEngine, CompiledEngine):
    """Steps of a ``CompiledEngine``, replayed: few kernels and one launch."""


def limits(first: Tensor, second: Tensor, floors: Sequence[float]) -> list[float]:
    """Largest relative differences of a replay, for losses and for gradient norms.

    `first` and `second` are two rehearsals of the same steps, (steps, 2, k).
    """
    differences = ((first - second).abs() / first.abs()).nan_to_num(0.0, 0.0, 0.0)
    spreads = differences.amax((0, 2)).tolist()
    return [max(floor, SPREADS * spread) for floor, spread in zip(floors, spreads, strict=True)]


def difference(replayed: Tensor, expected: Tensor, allowed: Sequence[float]) -> str | None:
    """The difference of replayed from direct steps, both (steps, 2, k); None if none."""
    for i, (name, limit) in enumerate(zip(("loss", "gradient norm"), allowed, strict=True)):
        near = torch.isclose(replayed[:, i], expected[:, i], rtol=limit, atol=0.0, equal_nan=True)
        if not near.all():
            return (
                f"the {name} of {REHEARSED} replayed steps is {replayed[:, i].tolist()}, of the "
                f"steps themselves {expected[:, i].tolist()}"
            )
    return None
