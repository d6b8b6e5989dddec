"""One run whose weights, gradients and moments are sharded over its ranks, by FSDP2.

Torch's ``fully_shard`` gathers the weights of a block when they are needed, averages the gradients
over the ranks and leaves each rank its rows of them. The rest of a step is the eager engine's: each
rank updates its rows, and whole those tensors that it owns, if the optimizer needs whole tensors
(``scalinglab.scaling.engine.steps.owned_tensors``); only norms need all ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, Shard

from scalinglab.scaling.engine.network.loss import ModelLoss
from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.steps.compiled import Fused, no_compiler, say_unfused
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Backward, Member, Ran, State, StateTensors
from scalinglab.scaling.engine.steps.owned_tensors import OwnedTensors, rows_of
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.module import Network
from scalinglab.scaling.model.parametrization import tensor_rules
from scalinglab.scaling.run.step_options import StepOptions

# In bf16 autocast rounds the weights of a product anyway, so they are gathered in bf16. Gradients
# are summed in float32, in which the residual stream stays too, as in one process.
SENT_IN_HALF = MixedPrecisionPolicy(
    param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False
)


def products(block: nn.Module) -> list[nn.Module]:
    """The modules of a block's matrices. Norms are not among them: gains stay in float32."""
    return [module for module in block.modules() if isinstance(module, nn.Linear)]


class ShardedParameters(nn.Module):
    """The parameters that this rank updates, as one buffer (1, p), and the model with rows of all.

    It updates its rows of every parameter, except that those in `whole` it has whole or not at all.
    Gradients of rows arrive in the buffer ``gradient``, those of `whole` by ``gather_gradient``.
    The weights with which FSDP computes are a copy, which ``hand_over`` renews.
    """

    def __init__(self, loss: ModelLoss, mesh: DeviceMesh, whole: Iterable[str]) -> None:
        super().__init__()
        for block in loss.model.blocks:
            if loss.options.precision == "bf16":
                fully_shard(products(block), mesh=mesh, mp_policy=SENT_IN_HALF)
            fully_shard(block, mesh=mesh)
        fully_shard(loss, mesh=mesh)  # in place
        self.loss = _materialized(loss, mesh.device_type)
        self._rows = {n: cast("DTensor", p) for n, p in loss.model.named_parameters()}
        self.owners = OwnedTensors(
            {name: self._rows[name].shape for name in whole}, mesh.device_type
        )
        local = {name: rows.to_local().shape for name, rows in self._rows.items()}
        arriving = {name: local.pop(name) for name in self.owners.sizes}
        self.names = local | self.owners.owned
        self.weights, self.gradient, self._arrived = (
            torch.zeros(1, sum(n.numel() for n in names.values()), device=mesh.device_type)
            for names in (self.names, self.names, arriving)
        )
        self.views = split(self.weights, self.names)
        self._own_gradients = split(self.gradient, self.names)
        self._arriving = split(self._arrived, arriving)
        self._gradients = {
            name: DTensor.from_local(
                view[0],
                mesh,
                [Shard(0)],
                run_check=False,
                shape=self._rows[name].shape,
                stride=self._rows[name].stride(),
            )
            for name, view in (self._own_gradients | self._arriving).items()
        }

    def clear_gradient(self) -> None:
        """Zero the gradient and hand its views to the parameters, to which FSDP adds."""
        self.gradient.zero_()
        self._arrived.zero_()
        for name, rows in self._rows.items():
            rows.grad = self._gradients[name]

    def gather_gradient(self) -> None:
        """Fetch the gradients of the tensors that this rank updates whole."""
        arrived = {name: view[0] for name, view in self._arriving.items()}
        for name, gradient in self.owners.whole(arrived).items():
            self._own_gradients[name][0].copy_(gradient)

    @torch.no_grad()
    def hand_over(self, weights: Tensor) -> None:
        """Let the model compute with these weights, (1, p)."""
        cast("FSDPModule", self.loss).reshard()  # drops the gathered weights, which are now old
        updated = {name: view[0] for name, view in split(weights, self.names).items()}
        current = updated | self.owners.rows(updated)
        for name, rows in self._rows.items():
            rows.to_local().copy_(current[name])


class ShardedEngine(EagerEngine):
    """Steps of an ``EagerEngine`` in as many processes as the default group has, for one member.

    All ranks must step, evaluate and load together, as each gathers what the others hold. ``state``
    gives what this rank updates, ``load`` takes whole tensors. The slices must have equal sizes.
    With `compiled`, ``torch.compile`` compiles the blocks, where there is a compiler.
    """

    module: ShardedParameters  # type: ignore[assignment]  # used alike, but no subclass

    def __init__(
        self,
        architecture: Network,
        members: Sequence[Member],
        *arguments: Any,
        compiled: bool = False,
        **named: Any,
    ) -> None:
        if len(members) > 1:
            raise UserError("execution.shard = True shares one run among processes, not a pack")
        self._compiled = compiled
        settings = members[0].optimizer
        rules = tensor_rules(architecture, settings)
        self._whole = [name for name, rule in rules.items() if rule.role in settings.whole]
        super().__init__(architecture, members, *arguments, **named)
        self._optimizer.norm = norms_of_all
        self.module.hand_over(self.module.weights)

    def _built(self, architecture: Network, options: StepOptions, seed: int) -> ModelLoss:
        assert isinstance(architecture, Architecture)  # checked when it was planned
        with torch.device("meta"):  # so that no rank holds all of it
            return ModelLoss(architecture, options)

    @property
    def _model_loss(self) -> ModelLoss:
        assert isinstance(self._loss, ModelLoss)  # see `_built`
        return self._loss

    def _parameters(self, device: str) -> ShardedParameters:  # type: ignore[override]
        kind = torch.device(device).type
        if self._compiled:
            self._compile(kind)
        mesh = init_device_mesh(kind, (dist.get_world_size(),))
        return ShardedParameters(self._model_loss, mesh, self._whole)

    def _compile(self, device: str) -> None:
        """Compile each block by itself: between blocks FSDP gathers and frees weights."""
        self._unfused = no_compiler(device)
        if self._unfused:
            say_unfused(self._unfused)
            return
        for block in self._model_loss.model.blocks:
            block.forward = Fused(block.forward)

    @property
    def ran(self) -> Ran:
        """See ``Engine.ran``."""
        if not self._compiled:
            return super().ran
        forwards = [block.forward for block in self._model_loss.model.blocks]
        failed = [f.failed for f in forwards if isinstance(f, Fused) and f.failed]
        why = self._unfused or next(iter(failed), None)
        return Ran("eager" if self._unfused or len(failed) == len(forwards) else "compiled", why)

    def _own(self, name: str, whole: Tensor) -> Tensor:
        """The part of a parameter or a moment that this rank updates; all of any other tensor."""
        by_rows = name in self.module.names and name not in self.module.owners.owned
        return rows_of(whole, dist.get_rank()) if by_rows else whole

    def _accumulate(self, tokens_kBT: Tensor, backward: Backward) -> Tensor:
        losses_k = super()._accumulate(tokens_kBT, backward)
        self.module.gather_gradient()
        return losses_k

    def step(self, tokens_kBT: Tensor, lr_k: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        """See ``Engine.step``."""
        losses_k, norms_k = super().step(tokens_kBT, lr_k, backward)
        self.module.hand_over(self.module.weights)
        return losses_k, norms_k

    def evaluate(self, windows_WT: np.ndarray) -> np.ndarray:
        """See ``Engine.evaluate``."""
        losses_k = super().evaluate(windows_WT)
        self.module.hand_over(self.module.weights)
        return losses_k

    def state(self, member: int) -> State:
        """The state that this rank updates; rank 0's also has the entries of no parameter."""
        state = super().state(member)
        if dist.get_rank() == 0:
            return state
        return {key: state[key] for key in state if key.partition("/")[2] in self.module.names}

    def load(self, member: int, state: StateTensors, steps_done: int) -> None:
        """See ``Engine.load``."""
        tensors = dict(self._parts())
        for key in keys_of_all(tensors):  # in one order on all ranks: rank 0 may send each tensor
            whole = state[key]
            if key in tensors:
                tensors[key][member].copy_(self._own(key.partition("/")[2], whole))
        self.steps_done = steps_done
        self.module.hand_over(self.module.weights)

    def begin(self, member: int, names: Sequence[str], weights: StateTensors) -> None:
        """See ``Engine.begin``."""
        super().begin(member, names, weights)
        self.module.hand_over(self.module.weights)

    def _at(self, weights: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        self.module.hand_over(weights)
        return self._losses


def _materialized(loss: ModelLoss, device: str) -> ModelLoss:
    """A loss made on the meta device, with memory for this rank's rows of its parameters."""
    tables = dict(loss.named_buffers())
    loss.to_empty(device=device)
    for name, table in tables.items():
        loss.get_buffer(name).copy_(table)
    return loss


def norms_of_all(columns: Tensor) -> Tensor:
    """Norm of each member's row, (k, 1), of which every process holds some columns."""
    squares = torch.linalg.vector_norm(columns, dim=1, keepdim=True, dtype=torch.float64).square()
    dist.all_reduce(squares)
    return squares.sqrt().to(columns.dtype)


def keys_of_all(keys: Iterable[str]) -> list[str]:
    """The keys that any rank has, each once, in the same order in all."""
    of_ranks: list[list[str]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(of_ranks, list(keys))
    return list(dict.fromkeys(key for of_rank in of_ranks for key in of_rank))
