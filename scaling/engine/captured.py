"""The whole step as one CUDA graph: captured once, replayed for every step of a chunk.

Small models are bound by the launches of their many kernels; a replay is one launch. Forward and
backward pass, clipping and optimizer read the step's tokens, LR and number from buffers that lie
still. Not yet run on a GPU: its tests carry the mark ``gpu``.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scaling.engine.eager import Backward, ChunkResult, EagerEngine, alone

log = logging.getLogger(__name__)
WARM_UP = 3  # steps before a capture: libraries allocate their work space in them


class CapturedEngine(EagerEngine):
    """Steps of an ``EagerEngine``, replayed; equal to rounding.

    The backward pass is torch's own, not the injected one: this is for one process and one device.
    Where a step cannot be captured it is eager, and one line of the log says why.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._failed: str | None = None  # what the only try at a capture said
        self._said: str | None = None

    def _reason(self) -> str | None:
        """Why its steps cannot be captured; None if they can."""
        if self.reduce is not alone:
            return "its gradients are averaged over processes"
        if self.module.weights.device.type != "cuda":
            return "there are graphs on CUDA devices only"
        if not self._optimizer.capturable:
            kind = type(self._optimizer).__name__
            return f"what {kind} does depends on the number of the step"
        return self._failed

    def train(self, tokens_SkBT: np.ndarray, lr_Sk: np.ndarray, backward: Backward) -> ChunkResult:
        """See ``Engine.train``."""
        device = self.module.weights.device
        tokens = self._moved(tokens_SkBT)
        lr = torch.from_numpy(lr_Sk).to(device)
        new = self._graph is None or self._tokens.shape != tokens.shape[1:]
        if new and self._reason() is None:
            self._capture(tokens[0].long(), lr[0])
        if reason := self._reason():
            if reason != self._said:
                log.warning("execution.engine = 'captured' steps eagerly: %s", reason)
            self._said = reason
            return super().train(tokens_SkBT, lr_Sk, backward)
        results = torch.empty(2, len(tokens), self.members, device=device)
        for s in range(len(tokens)):
            if s == len(tokens) - 1:
                self._before = self.module.weights.clone() if self.watched else None
            self.steps_done += 1
            self._tokens.copy_(tokens[s])
            self._lr.copy_(lr[s])
            self._count.fill_(self.steps_done)
            self._graph.replay()
            results[:, s] = self._result
        loss, grad_norm = results.cpu().numpy()
        return ChunkResult(loss, grad_norm)

    def _capture(self, tokens_kBT: Tensor, lr_k: Tensor) -> None:
        """Record one step, and leave weights and moments as they were."""
        self._tokens, self._lr = tokens_kBT.clone(), lr_k.clone()
        self._count = torch.ones((), dtype=torch.float64, device=lr_k.device)
        held = [tensor for _, tensor in self._parts()]
        before = [tensor.clone() for tensor in held]
        try:
            self._graph, self._result = self._recorded()
        except torch.OutOfMemoryError:  # a smaller micro-batch may do
            raise
        except RuntimeError as error:
            self._failed = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
        for tensor, value in zip(held, before, strict=True):
            tensor.copy_(value)

    def _recorded(self) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        """A graph of one step, and what it writes its result to."""
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._one()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        # Other threads of a worker may call CUDA: only the calls of this one count.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = self._one()
        return graph, result

    def _one(self) -> Tensor:
        """One step on what lies in the buffers; losses and gradient norms, (2, k)."""
        self.module.clear_gradient()
        losses_k = self._accumulate(self._tokens, Tensor.backward)
        weights, gradient = self.module.weights, self.module.gradient
        norms_k = self._optimizer.step(weights, gradient, self._lr, self._count)
        return torch.stack([losses_k, norms_k])
