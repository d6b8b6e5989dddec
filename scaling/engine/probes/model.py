"""A checkpoint as a model, with the weights at which its run is evaluated."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.network.arithmetic import matrix_products
from scalinglab.scaling.engine.network.loss import build_loss
from scalinglab.scaling.engine.network.module import logits_of, persistent_buffers
from scalinglab.scaling.engine.network.streams import read_by_head
from scalinglab.scaling.engine.steps.eager import (
    EVALUATION_BYTES,
    EVALUATION_TOKENS,
    check_device,
)
from scalinglab.scaling.engine.trainer.checkpoint import checkpoint_at
from scalinglab.scaling.engine.trainer.evaluation import evaluation_weights
from scalinglab.scaling.engine.trainer.initial import weights_at_start
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.run.step_options import StepOptions

Weights = dict[str, Tensor]  # by name, on the CPU
# Place of a module, its inputs, its output.
Hook = Callable[[int, tuple[Any, ...], Any], None]


@contextlib.contextmanager
def hooked(modules: Sequence[nn.Module], hook: Hook) -> Iterator[None]:
    """A context in which a hook is called after each module's forward pass."""

    def of(place: int) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        return lambda _, inputs, output: hook(place, inputs, output)

    handles = [m.register_forward_hook(of(place)) for place, m in enumerate(modules)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class Model:
    """A network with given weights.

    Parameters
    ----------
    spec : RunSpec
        The run whose network it is.
    weights : mapping of str to Tensor
        All of its parameters.
    execution : ExecutionConfig
        Device, and settings that trade time for memory.
    part : int
        Sequences at once in passes that take much memory.
    """

    def __init__(
        self, spec: RunSpec, weights: Mapping[str, Tensor], execution: ExecutionConfig, part: int
    ) -> None:
        check_device(execution.device)
        self.spec, self.part, self.device = spec, part, execution.device
        self.options = replace(StepOptions.of(spec, execution), recompute=False)
        loss = build_loss(spec.architecture, self.options, spec.seed).eval()
        self._loss: nn.Module = loss.to(execution.device)
        self.multiplier: float = getattr(loss, "multiplier", 1.0)
        self.network: nn.Module = self._loss.model
        self.take(weights)

    @torch.no_grad()
    def take(self, weights: Mapping[str, Tensor]) -> None:
        """Replace the weights, and the buffers that a checkpoint holds."""
        for name, parameter in self.network.named_parameters():
            parameter.copy_(weights[name])
            parameter.grad = None
        for name, buffer in persistent_buffers(self.network).items():
            if name in weights:
                buffer.copy_(weights[name])

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks of the network, first to last.

        Raises
        ------
        UserError
            If it has no list of blocks.
        """
        blocks = dict(self.network.named_children()).get("blocks")
        if blocks is None:
            raise UserError(
                f"run {self.spec.run_id}: its network has no list of blocks, which this probe reads"
            )
        return list(blocks.children())

    def stream(self, output: Tensor | tuple[Tensor, ...]) -> Tensor:
        """See `read_by_head`."""
        return read_by_head(self.blocks[0], output)

    @torch.no_grad()
    def streams(self, windows_WT: np.ndarray, go_on: Callable[[], None]) -> list[Tensor]:
        """The stream after each block as the head would read it, (W, T, D), float64 on the CPU.

        One for each pass through a block: blocks that are run several times have several. `go_on`
        is called between parts of the work.
        """
        passes: list[Tensor] = []
        parts: list[list[Tensor]] = []

        def keep(_: int, __: tuple[Any, ...], output: Any) -> None:
            passes.append(self.stream(output).double().cpu())

        with hooked(self.blocks, keep):
            for _ in self.logits(windows_WT):
                go_on()
                parts.append(passes.copy())
                passes.clear()
        return [torch.cat(of_pass) for of_pass in zip(*parts, strict=True)]

    @torch.no_grad()
    def loss(self, windows_WT: np.ndarray) -> float:
        """Mean loss on windows, by the same operations as the run's own validation."""
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        size = self._windows_at_once(windows_WT.shape[1])
        with matrix_products(self.options.precision):
            for start in range(0, len(windows_WT), size):
                batch = self._moved(windows_WT[start : start + size])
                loss, _ = self._loss(batch)
                total += loss.double() * len(batch)
        return float(total / len(windows_WT))

    @torch.no_grad()
    def logits(self, windows_WT: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
        """Float32 logits (b, T, V) and their targets (b, T), batch after batch of the windows."""
        size = self._windows_at_once(windows_WT.shape[1])
        for start in range(0, len(windows_WT), size):
            batch = self._moved(windows_WT[start : start + size])
            yield self.of_tokens(batch[:, :-1]), batch[:, 1:]

    @torch.no_grad()
    def of_tokens(self, tokens_BT: Tensor) -> Tensor:
        """Float32 logits (B, T, V) of tokens."""
        half = self.options.precision == "bf16"
        with (
            matrix_products(self.options.precision),
            torch.autocast(tokens_BT.device.type, torch.bfloat16, half, cache_enabled=False),
        ):
            logits_BTV: Tensor = logits_of(self.network(tokens_BT))
        return logits_BTV.float() * self.multiplier

    def gradients(self, tokens_BT: np.ndarray) -> Weights:
        """Gradients of the run's objective on sequences with their targets, by name."""
        for parameter in self.network.parameters():
            parameter.grad = None
        with matrix_products(self.options.precision):
            for start in range(0, len(tokens_BT), self.part):
                batch = self._moved(tokens_BT[start : start + self.part])
                loss, penalty = self._loss(batch)
                ((loss + penalty) * (len(batch) / len(tokens_BT))).backward()
        return {
            name: torch.zeros_like(p) if p.grad is None else p.grad
            for name, p in self.network.named_parameters()
        }

    def _moved(self, tokens: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(tokens)).to(self.device).long()

    def _windows_at_once(self, length: int) -> int:
        """As many as the engine evaluates at once, so that sums have the same order."""
        tokens, chunk = EVALUATION_TOKENS, self.options.loss_chunk
        if chunk is None or chunk > tokens:
            tokens = min(tokens, EVALUATION_BYTES // (4 * self.spec.shape.vocab))
        size = max(1, tokens // length)
        return max(size, self.part) if self.device != "cpu" else size


def weights_at(outputs: Path, spec: RunSpec, step: int) -> Weights:
    """The weights at which a run is evaluated after some updates.

    Raises
    ------
    UserError
        If no checkpoint of that step can be read.
    """
    if step == 0:
        return weights_at_start(outputs, spec)
    return evaluation_weights(spec, checkpoint_at(outputs, spec, step))
