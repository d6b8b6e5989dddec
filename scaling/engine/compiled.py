"""Eager steps whose forward and backward pass ``torch.compile`` has fused."""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
from typing import Any

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from scaling.engine.eager import EagerEngine

log = logging.getLogger(__name__)


class CompiledEngine(EagerEngine):
    """Steps of an ``EagerEngine``, compiled: equal to rounding; evaluation is the same.

    Where nothing can be compiled it steps eagerly, and one line of the log says why.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if reason := no_compiler(self.module.weights.device.type):
            self._give_up(reason)
            return
        torch.compiler.reset()  # what engines before this one compiled would count against limits
        self._compiled = torch.compile(super()._losses, dynamic=False)

    def _losses(self, tokens_kBT: Tensor) -> tuple[Tensor, Tensor]:
        try:
            return self._compiled(tokens_kBT)
        except TorchDynamoException as error:
            self._give_up(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")
            return self._compiled(tokens_kBT)

    def _give_up(self, reason: str) -> None:
        log.warning("execution.engine = 'compiled' steps eagerly: %s", reason)
        self._compiled = super()._losses


def no_compiler(device: str) -> str | None:
    """Why ``torch.compile`` cannot make code for a kind of device; None if it can."""
    if device == "cuda":
        return None if importlib.util.find_spec("triton") else "there is no triton"
    names = filter(None, (os.environ.get("CXX"), "g++", "clang++"))
    return None if any(map(shutil.which, names)) else "there is no C++ compiler"
