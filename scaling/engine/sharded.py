"""One run whose weights, gradients and moments lie in parts, one a rank: FSDP2.

Torch's ``fully_shard`` gathers the weights of a block when they are needed, and of the gradients,
averaged over the ranks, leaves each rank its rows. The rest of a step is the eager engine's: the
optimizers that fit update each weight by itself, so each rank updates its rows; only norms need
all ranks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard

from scaling.engine.compiled import no_compiler
from scaling.engine.eager import Backward, EagerEngine, Held, State
from scaling.engine.loss import ModelLoss
from scaling.engine.stacked import split

log = logging.getLogger(__name__)


class ShardedParameters(nn.Module):
    """This rank's rows of all parameters: as one buffer (1, p), and in the model that computes.

    Gradients arrive in the buffer ``gradient``. Of the weights FSDP keeps rows of its own, which
    ``hand_over`` renews.
    """

    def __init__(self, loss: ModelLoss, mesh: DeviceMesh) -> None:
        super().__init__()
        for block in loss.model.blocks:
            fully_shard(block, mesh=mesh)
        self.loss = fully_shard(loss, mesh=mesh)
        self._rows = dict(loss.model.named_parameters())
        self.names = {name: rows.to_local().shape for name, rows in self._rows.items()}
        size = sum(n.numel() for n in self.names.values())
        self.weights = torch.zeros(1, size, device=mesh.device_type)
        self.gradient = torch.zeros_like(self.weights)
        self.views = split(self.weights, self.names)
        self._gradients = {
            name: DTensor.from_local(view[0], mesh, [Shard(0)], run_check=False,
                                     shape=self._rows[name].shape, stride=self._rows[name].stride())
            for name, view in split(self.gradient, self.names).items()
        }  # fmt: skip

    def clear_gradient(self) -> None:
        """Zero the gradient and hand its views to the parameters: FSDP adds to what is there."""
        self.gradient.zero_()
        for name, rows in self._rows.items():
            rows.grad = self._gradients[name]

    @torch.no_grad()
    def hand_over(self, weights: Tensor) -> None:
        """Let the model compute with these weights, (1, p)."""
        self.loss.reshard()  # or it would go on with those that it has gathered
        for name, view in split(weights, self.names).items():
            self._rows[name].to_local().copy_(view[0])


class ShardedEngine(EagerEngine):
    """Steps of an ``EagerEngine`` in as many processes as the default group has, for one member.

    All ranks must step, evaluate and load together: each gathers what the others hold. ``state``
    gives this rank's rows, ``load`` takes whole tensors. Needs an optimizer that is elementwise
    (``scaling.optimizer_settings``) and slices of equal size. If `compiled`, blocks are by
    ``torch.compile``, where there is a compiler.
    """

    averages = True

    def __init__(self, *arguments: Any, compiled: bool = False, **named: Any) -> None:
        self._compiled = compiled
        super().__init__(*arguments, **named)
        self._optimizer.norm = norms_of_all
        self.module.hand_over(self.module.weights)

    def _parameters(self, device: str) -> ShardedParameters:  # type: ignore[override]
        if self.members > 1:
            raise ValueError("execution.shard = True shares one run among processes, not a pack")
        kind = torch.device(device).type
        if self._compiled:
            self._compile(kind)
        return ShardedParameters(self._loss, init_device_mesh(kind, (dist.get_world_size(),)))

    def _compile(self, device: str) -> None:
        """Each block by itself: between them weights come and go."""
        if reason := no_compiler(device):
            log.warning("execution.engine = 'compiled' steps eagerly: %s", reason)
            return
        for block in self._loss.model.blocks:
            block.compile(dynamic=False)

    def _own(self, name: str, whole: Tensor) -> Tensor:
        """This rank's rows of a parameter or its moment; all of what is no parameter's."""
        if name not in self.module.names:
            return whole
        rows = whole.chunk(dist.get_world_size())  # fewer where there are not enough rows
        return rows[dist.get_rank()] if dist.get_rank() < len(rows) else whole[:0]

    def step(self, tokens_kBT: Tensor, lr_k: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        """See ``Engine.step``."""
        result = super().step(tokens_kBT, lr_k, backward)
        self.module.hand_over(self.module.weights)
        return result

    def evaluate(self, windows_WT: np.ndarray) -> np.ndarray:
        """See ``Engine.evaluate``."""
        losses_k = super().evaluate(windows_WT)
        self.module.hand_over(self.module.weights)
        return losses_k

    def state(self, member: int) -> State:
        """This rank's rows; what is no parameter's only of rank 0."""
        mine = self.module.names if dist.get_rank() else None
        return {key: value for key, value in super().state(member).items()
                if mine is None or key.partition("/")[2] in mine}

    def load(self, member: int, state: Held, steps_done: int) -> None:
        """See ``Engine.load``."""
        super().load(member, state, steps_done)
        self.module.hand_over(self.module.weights)

    def _at(self, weights: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        self.module.hand_over(weights)
        return self._losses


def norms_of_all(values: Tensor) -> Tensor:
    """Norm of each member's row, parts of which lie in all processes, (k, 1)."""
    squares = torch.linalg.vector_norm(values, dim=1, keepdim=True, dtype=torch.float64).square()
    dist.all_reduce(squares)
    return squares.sqrt().to(values.dtype)
