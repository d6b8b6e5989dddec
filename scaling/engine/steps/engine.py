"""The protocol between a trainer and an engine: steps, losses, measurements, and state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from scalinglab.scaling.engine.steps.reduction import Reduction
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig

State = dict[str, Tensor]
Backward = Callable[[Tensor], None]


@dataclass(frozen=True)
class Member:
    """The numbers in which members of a pack differ."""

    seed: int
    optimizer: OptimizerConfig


class StateTensors(Protocol):
    """A mapping of ``part/name`` to tensors, such as a state or an open checkpoint."""

    def __getitem__(self, key: str, /) -> Tensor:
        """The whole tensor."""


@dataclass(frozen=True)
class Ran:
    """The engine whose kernels made the steps so far, and why it is not the requested one."""

    engine: str
    why: str | None = None


@dataclass(frozen=True)
class ChunkResult:
    """Losses and gradient norms of the steps of a chunk, float32 (steps, members)."""

    loss: np.ndarray
    grad_norm: np.ndarray


class Engine(Protocol):
    """An engine trains k models of one shape as one stacked model."""

    reduce: Reduction  # applied to each step's gradient (k, P), in place, before its use
    watched: bool  # whether to keep the weights before the last update of the next chunk

    @property
    def module(self) -> nn.Module:
        """The module with the parameters, for the driver of the backward pass."""

    @property
    def steps_done(self) -> int:
        """Updates so far."""

    @property
    def ran(self) -> Ran:
        """The engine that made the steps: one that cannot run here falls back to another."""

    def step(self, tokens_kBT: Tensor, lr_k: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        """One update of all members; returns the losses before it and gradient norms, both (k,)."""

    def train(self, tokens_SkBT: np.ndarray, lr_Sk: np.ndarray, backward: Backward) -> ChunkResult:
        """A chunk of S updates; sequences carry their targets (T = context + 1).

        Tokens may have any whole-number dtype: narrow ones become int64 on the device, step by
        step.
        """

    def evaluate(self, windows_WT: np.ndarray) -> np.ndarray:
        """Mean loss of each member on fixed windows, float64 (k,)."""

    def measure(self, names: list[str], tokens_kBT: np.ndarray) -> list[dict[str, float]]:
        """Column -> number for each member, measured on the next batch.

        See `scalinglab.scaling.engine.steps.measurements`.
        """

    def state(self, member: int) -> State:
        """A member's parameters and moments by name, on the CPU."""

    def load(self, member: int, state: StateTensors, steps_done: int) -> None:
        """Load a member's state; all members must be loaded at the same step."""

    def begin(self, member: int, names: Sequence[str], weights: StateTensors) -> None:
        """Replace named initial weights of a fresh member."""
