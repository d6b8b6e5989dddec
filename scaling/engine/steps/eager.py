"""The eager engine: k models of one shape trained as one stacked model, a chunk of steps at a time.

A chunk ends at the next event (validation, checkpoint, end). Losses and gradient norms of a chunk
stay on the device and come back in one copy. The driver of the engine passes in the backward pass
(Lightning's ``manual_backward`` under its strategies). All engines read each other's checkpoints.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, vmap

from scalinglab.scaling.engine.network.arithmetic import matrix_products
from scalinglab.scaling.engine.network.dropout import key_of
from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.loss import ModelLoss, build_loss
from scalinglab.scaling.engine.network.module import ModuleLoss, draw_seed, persistent_buffers
from scalinglab.scaling.engine.network.stacked import StackedParameters, split
from scalinglab.scaling.engine.optimizers.optimizer import build_optimizer
from scalinglab.scaling.engine.steps.engine import (
    Backward,
    ChunkResult,
    Member,
    Ran,
    State,
    StateTensors,
)
from scalinglab.scaling.engine.steps.measurements import Subject, measure
from scalinglab.scaling.engine.steps.reduction import Alone, Reduction
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.model.parametrization import tensor_rules
from scalinglab.scaling.run.step_options import StepOptions

# The members' gradients are views of one buffer, so their strides differ from torch's own choice;
# accumulating into them is correct.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout")
# Without a batching rule vmap calls the CPU's attention kernel once a member, as intended.
warnings.filterwarnings("ignore", message="There is a performance drop because we have not yet")
EVALUATION_TOKENS = 4_096  # tokens of one forward pass of validation, all members together
EVALUATION_BYTES = 512 * 2**20  # of its logits, the largest tensor with a large vocabulary


class EagerEngine:
    """Plain eager steps, on the CPU or one device.

    Parameters
    ----------
    architecture : Network
        The network that all members share.
    members : sequence of Member
        One or more; each starts from its own initial weights.
    device : str
        Where to compute.
    micro_batch : int, optional
        Sequences of each member in one forward and backward pass; gradients add up to those of the
        whole batch, equal to rounding. Default: the whole batch.
    options : StepOptions
        Precision, z-loss, and what trades time for memory.
    """

    def __init__(
        self,
        architecture: Network,
        members: Sequence[Member],
        device: str = "cpu",
        micro_batch: int | None = None,
        options: StepOptions = StepOptions(),
    ) -> None:
        check_device(device)
        if len(members) > 1 and options.unpackable_reason:
            raise UserError(options.unpackable_reason)
        self.members, self.vocab = len(members), architecture.shape.vocab
        self.micro_batch = micro_batch
        self.reduce: Reduction = Alone()
        self.watched = False
        self._before: Tensor | None = None
        self.steps_done = 0
        self.options = options
        # A person's own network may draw random numbers in its forward pass: from seed and step.
        self._drawn_by = members[0].seed if isinstance(architecture, ModuleNetwork) else None
        # Dropout draws from each member's seed, and from the keys of the present step.
        seeds = [draw_seed(m.seed, "dropout") for m in members]
        has_dropout = isinstance(architecture, Architecture) and architecture.dropout > 0
        self._drop_k = torch.tensor(seeds, device=device) if has_dropout else None
        self._keys_k: tuple[Tensor, ...] = ()
        self._loss = self._built(architecture, options, members[0].seed)
        self.module = self._parameters(device)
        self._names = self.module.names
        settings = [m.optimizer for m in members]
        rules = tensor_rules(architecture, settings[0])
        self._optimizer = build_optimizer(settings, self._names, rules, device)
        for i, member in enumerate(members):
            for name, weight in initial_weights(architecture, member.seed):
                if name in self.module.views:
                    self.module.views[name][i].copy_(self._own(name, weight))
                del weight  # so that only one whole tensor exists at a time
        self._optimizer.start(self.module.weights)

    @property
    def ran(self) -> Ran:
        """See ``Engine.ran``."""
        return Ran("eager")

    def _built(
        self, architecture: Network, options: StepOptions, seed: int
    ) -> ModelLoss | ModuleLoss:
        """The loss of one model, before it has its parameters."""
        return build_loss(architecture, options, seed)

    def _parameters(self, device: str) -> StackedParameters:
        """The parameters of all members, in place of those of the one model."""
        model = self._loss.to(device).requires_grad_(False).model
        names = {n: p.shape for n, p in model.named_parameters()}
        parameters = StackedParameters(names, self.members, device)
        if self.members == 1:
            parameters.lend(model)
        return parameters

    def _own(self, name: str, whole: Tensor) -> Tensor:
        """The part of a whole tensor that this process updates: all of it."""
        return whole

    def step(self, tokens_kBT: Tensor, lr_k: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        """See ``Engine.step``."""
        self.module.clear_gradient()
        if self._drawn_by is not None:
            torch.manual_seed(draw_seed(self._drawn_by, f"step {self.steps_done}"))
        self._keys_k = self._keys(self.steps_done + 1)
        losses_k = self._accumulate(tokens_kBT, backward)
        self.reduce.finish(self.module.gradient)
        self.steps_done += 1
        return losses_k, self._update(lr_k, self.steps_done)

    def _keys(self, count: Tensor | int) -> tuple[Tensor, ...]:
        """The dropout keys of the members in a step, (k,); empty without dropout."""
        return () if self._drop_k is None else (key_of(self._drop_k, count),)

    def _update(self, lr_k: Tensor, count: int | Tensor) -> Tensor:
        """Apply the gradient to the weights; returns its norms, (k,)."""
        return self._optimizer.step(self.module.weights, self.module.gradient, lr_k, count)

    def _accumulate(self, tokens_kBT: Tensor, backward: Backward) -> Tensor:
        """Add up the gradients of a batch's micro-batches; returns the mean losses, (k,)."""
        batch = tokens_kBT.shape[1]
        total_k = torch.zeros(self.members, device=tokens_kBT.device)
        micro_batches = tokens_kBT.split(self.micro_batch or batch, dim=1)
        with matrix_products(self.options.precision):
            for i, micro_kBT in enumerate(micro_batches):
                share = micro_kBT.shape[1] / batch  # the last one may be smaller
                losses_k, penalties_k = self._losses(micro_kBT, *self._keys_k)
                if i == len(micro_batches) - 1:
                    self.reduce.begin()
                # Members share no parameters, so each gets the gradient of its own loss.
                backward(((losses_k + penalties_k) * share).sum())
                total_k += losses_k.detach() * share
        return total_k

    def train(self, tokens_SkBT: np.ndarray, lr_Sk: np.ndarray, backward: Backward) -> ChunkResult:
        """See ``Engine.train``."""
        tokens, lr = self._moved(tokens_SkBT), self._moved(lr_Sk)
        curves = torch.empty(2, len(tokens), self.members, device=tokens.device)
        for s in range(len(tokens)):
            if s == len(tokens) - 1:
                self._before = self.module.weights.clone() if self.watched else None
            curves[0, s], curves[1, s] = self.step(tokens[s].long(), lr[s], backward)
        loss, grad_norm = curves.cpu().numpy()
        return ChunkResult(loss, grad_norm)

    def _moved(self, array: np.ndarray) -> Tensor:
        """An array on the device, of the same type; pinned, so that copies do not block."""
        device, tensor = self.module.weights.device, torch.from_numpy(array)
        if device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(device, non_blocking=True)

    @torch.no_grad()
    def evaluate(self, windows_WT: np.ndarray) -> np.ndarray:
        """See ``Engine.evaluate``."""
        losses_at = self._at(self._optimizer.evaluation_weights(self.module.weights))
        device = self.module.weights.device
        total_k = torch.zeros(self.members, dtype=torch.float64, device=device)
        size = self._windows_at_once(windows_WT.shape[1])
        with matrix_products(self.options.precision), self._untouched(training=False):
            for start in range(0, len(windows_WT), size):
                batch_WT = self._moved(windows_WT[start : start + size]).long()
                losses_k, _ = losses_at(batch_WT.expand(self.members, *batch_WT.shape))
                total_k += losses_k.double() * len(batch_WT)
        return (total_k / len(windows_WT)).cpu().numpy()

    def _windows_at_once(self, length: int) -> int:
        """Windows in one pass of validation, which must not need more memory than training."""
        tokens, chunk = EVALUATION_TOKENS, self.options.loss_chunk
        if chunk is None or chunk > tokens:
            tokens = min(tokens, EVALUATION_BYTES // (4 * self.vocab))
        size = max(1, tokens // (length * self.members))
        if self.module.weights.device.type == "cuda":  # small passes leave a GPU idle
            size = max(size, self.micro_batch or 1)  # as many as in training
        return size

    def measure(self, names: list[str], tokens_kBT: np.ndarray) -> list[dict[str, float]]:
        """See ``Engine.measure``."""
        with matrix_products(self.options.precision), self._untouched(training=True):
            return measure(
                names,
                Subject(
                    model=self._loss.model,
                    weights=self.module.views,
                    before=None if self._before is None else split(self._before, self._names),
                    tokens_kBT=self._moved(tokens_kBT).long(),
                    part=self.micro_batch or tokens_kBT.shape[1],
                    gradients=self._gradients,
                    multiplier=getattr(self._loss, "multiplier", 1.0),
                    precision=self.options.precision,
                ),
            )

    @contextmanager
    def _untouched(self, *, training: bool) -> Iterator[None]:
        """Run forward passes, and restore the buffers that a person's own network changes."""
        if self._drawn_by is None:
            yield
            return
        before = {key: buffer.clone() for key, buffer in self._held_buffers()}
        self._loss.train(training)
        try:
            yield
        finally:
            self._loss.train()
            for key, buffer in self._held_buffers():
                buffer.copy_(before[key])

    def _held_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Persistent buffers of a person's own network, which join its checkpoints."""
        for name, buffer in persistent_buffers(self._loss.model).items():
            yield f"buffer/{name}", buffer[None]

    def _gradients(self, tokens_kBT: Tensor) -> Tensor:
        """Gradients of the members' objectives before any reduction, (k, P)."""
        self.module.clear_gradient()
        # Eager even in a compiled engine: compiling another batch size takes longer than it saves.
        losses_k, penalties_k = EagerEngine._losses(self, tokens_kBT)
        (losses_k + penalties_k).sum().backward()
        return self.module.gradient

    def state(self, member: int) -> State:
        """See ``Engine.state``."""
        return {key: view[member].detach().cpu().clone() for key, view in self._parts()}

    def load(self, member: int, state: StateTensors, steps_done: int) -> None:
        """See ``Engine.load``."""
        for key, view in self._parts():
            view[member].copy_(self._own(key.partition("/")[2], state[key]))
        self.steps_done = steps_done

    @torch.no_grad()
    def begin(self, member: int, names: Sequence[str], weights: StateTensors) -> None:
        """See ``Engine.begin``."""
        buffers = {key.partition("/")[2]: buffer for key, buffer in self._held_buffers()}
        for name in names:  # the ranks of a sharded model read the tensors in the same order
            weight, views = weights[name], self.module.views
            if name in views:
                views[name][member].copy_(self._own(name, weight))
            elif name in buffers:
                buffers[name][member].copy_(weight)
        self._optimizer.start(self.module.weights)

    def _parts(self) -> Iterator[tuple[str, Tensor]]:
        """All tensors of a checkpoint by ``part/name``; their first dimension is the member."""
        for part, stacked in {"weight": self.module.weights, **self._optimizer.moments}.items():
            tensors = split(stacked, self._names) if isinstance(stacked, Tensor) else stacked
            for name, view in tensors.items():
                yield f"{part}/{name}", view
        if self._drawn_by is not None:
            yield from self._held_buffers()

    def _losses(self, tokens_kBT: Tensor, *keys_k: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of each member on its own tokens, and the penalties of its objective, (k,)."""
        if self.members == 1:  # the same operations without vmap, a tenth faster on a CPU
            loss, penalty = self._loss(tokens_kBT[0], *(key_k[0] for key_k in keys_k))
            return loss[None], penalty[None]
        return self._with(self.module.named(), tokens_kBT, *keys_k)

    def _at(self, weights: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """The losses and penalties as a function of tokens, at given weights (k, P)."""
        return partial(self._with, self.module.by_name(weights, self._names))

    def _with(
        self, by_name: Mapping[str, Tensor], tokens_kBT: Tensor, *keys_k: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The losses and penalties with parameters by name, each (k, ...)."""
        parameters = {f"model.{name}": p for name, p in by_name.items()}
        if self.members == 1:
            loss, penalty = functional_call(self._loss, parameters, (tokens_kBT[0],))
            return loss[None], penalty[None]

        def member_loss(weights: State, *inputs: Tensor) -> tuple[Tensor, Tensor]:
            return functional_call(self._loss, weights, inputs)

        return vmap(member_loss)(parameters, tokens_kBT, *keys_k)


def check_device(device: str) -> None:
    """Raise `UserError` if this machine has no such device."""
    if device != "cpu" and not torch.cuda.is_available():
        raise UserError(
            f"execution.device = {device!r}: torch finds no CUDA device here; allowed is cpu"
        )
