"""Eager steps whose forward and backward pass ``torch.compile`` has fused."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
from collections.abc import Callable
from typing import Any

import torch
import torch._functorch.config
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from scaling.engine.eager import EagerEngine

log = logging.getLogger(__name__)
# Kinds of devices on which elementwise updates are fused too. An update reads and writes the
# buffers a dozen times, fused twice; a CPU gains nothing (1.02 of the time at width 128).
FUSED_UPDATES = ("cuda",)


class CompiledEngine(EagerEngine):
    """Steps of an ``EagerEngine``, compiled: equal to rounding; evaluation is the same.

    Where nothing can be compiled it steps eagerly, and one line of the log says why.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._passes = super()._losses
        self._step = self._optimizer.step
        kind = self.module.weights.device.type
        if reason := no_compiler(kind):
            say_unfused(reason)
            return
        torch.compiler.reset()  # what engines before this one compiled would count against limits
        self._passes = Fused(self._passes)
        if not self._optimizer.settings[0].whole and kind in FUSED_UPDATES:
            # All of it or nothing: one that fails half-way has changed half of the weights.
            self._step = Fused(self._step, fullgraph=True)

    def _losses(self, tokens_kBT: Tensor) -> tuple[Tensor, Tensor]:
        return self._passes(tokens_kBT)

    def _update(self, lr_k: Tensor, count: int | Tensor) -> Tensor:
        if isinstance(self._step, Fused) and isinstance(count, int):  # or it is compiled into it
            count = torch.full((), count, dtype=torch.float64, device=lr_k.device)
        return self._step(self.module.weights, self.module.gradient, lr_k, count)


class Fused:
    """What ``torch.compile`` makes of a function; the function, if that fails, which is logged."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool = False) -> None:
        self._function = function
        # Else the backward pass is compiled at its first use, where a failure is not caught.
        torch._functorch.config.force_non_lazy_backward_lowering = True
        self._compiled = torch.compile(function, dynamic=False, fullgraph=fullgraph)

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._compiled(*arguments)
        except TorchDynamoException as error:
            say_unfused(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
            self._compiled = self._function
            return self._function(*arguments)


def say_unfused(reason: str) -> None:
    """Log why the kernels of a step are those of eager steps."""
    log.warning("torch.compile is not used, kernels are those of execution.engine = 'eager': %s",
                reason)


def no_compiler(device: str) -> str | None:
    """Why ``torch.compile`` cannot make code for a kind of device; None if it can."""
    if device == "cuda":
        return None if importlib.util.find_spec("triton") else "there is no triton"
    names = filter(None, (os.environ.get("CXX"), "g++", "clang++"))
    return None if any(map(shutil.which, names)) else "there is no C++ compiler"
