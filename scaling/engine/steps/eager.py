"""The engine: k models of one shape trained as one stacked model, a chunk of steps at a time.

A chunk is as many steps as fit before the next event (validation, checkpoint, end). Losses and
gradient norms of a chunk stay on the device and come back in one copy. Whoever drives the engine
injects the backward pass (Lightning's ``manual_backward`` under its strategies).

``ENGINES`` names the implementations; all read each other's checkpoints.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from scalinglab.scaling.engine.network.arithmetic import matrix_products
from scalinglab.scaling.engine.network.dropout import key_of
from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.loss import ModelLoss, build_loss
from scalinglab.scaling.engine.network.module import ModuleLoss, draw_seed, persistent_buffers
from scalinglab.scaling.engine.network.stacked import StackedParameters, split
from scalinglab.scaling.engine.optimizers.optimizer import build_optimizer
from scalinglab.scaling.engine.steps.measurements import Subject, measure
from scalinglab.scaling.engine.steps.reduction import Alone, Reduction
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.model.parametrization import tensor_rules
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig
from scalinglab.scaling.run.engines import ENGINES as DEFINED
from scalinglab.scaling.run.step_options import StepOptions

State = dict[str, Tensor]
Backward = Callable[[Tensor], None]
# Members lie apart in one buffer, so the strides of stacked gradients differ from torch's own
# choice; accumulating into them is right all the same.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout")
# Without a batching rule vmap calls the CPU's attention kernel once a member, as it should.
warnings.filterwarnings("ignore", message="There is a performance drop because we have not yet")
EVALUATION_TOKENS = 4_096  # tokens of one forward pass of validation, all members together
EVALUATION_BYTES = 512 * 2**20  # of its logits: a large vocabulary takes more than all else


@dataclass(frozen=True)
class Member:
    """What distinguishes one member of a pack: numbers only."""

    seed: int
    optimizer: OptimizerConfig


class StateTensors(Protocol):
    """A state, or whatever else gives a tensor for ``part/name``."""

    def __getitem__(self, key: str, /) -> Tensor:
        """The whole tensor."""


@dataclass(frozen=True)
class Ran:
    """The engine whose kernels made the steps so far, and why not the one that was asked for."""

    engine: str
    why: str | None = None


@dataclass(frozen=True)
class ChunkResult:
    """Losses and gradient norms of the steps of a chunk, float32 (steps, members)."""

    loss: np.ndarray
    grad_norm: np.ndarray


class Engine(Protocol):
    """What a trainer may ask of an engine."""

    reduce: Reduction  # of each step's gradient (k, P), in place, before its use
    watched: bool  # whether to keep the weights before the last update of the next chunk

    @property
    def module(self) -> nn.Module:
        """What holds the parameters, for whoever drives the backward pass."""

    @property
    def steps_done(self) -> int:
        """Updates so far."""

    @property
    def ran(self) -> Ran:
        """What stepped: an engine that cannot do what it is for steps as another."""

    def step(self, tokens_kBT: Tensor, lr_k: Tensor, backward: Backward) -> tuple[Tensor, Tensor]:
        """One update of all members; losses before it and gradient norms, both (k,)."""

    def train(self, tokens_SkBT: np.ndarray, lr_Sk: np.ndarray, backward: Backward) -> ChunkResult:
        """A chunk of S updates; sequences carry their targets (T = context + 1).

        Tokens may have any whole-number dtype: narrow ones become int64 on the device, step by
        step.
        """

    def evaluate(self, windows_WT: np.ndarray) -> np.ndarray:
        """Mean loss of each member on fixed windows, float64 (k,)."""

    def measure(self, names: list[str], tokens_kBT: np.ndarray) -> list[dict[str, float]]:
        """``scalinglab.scaling.engine.steps.measurements`` of each member by column, on the batch that is next."""

    def state(self, member: int) -> State:
        """A member's parameters and moments by name, on the CPU."""

    def load(self, member: int, state: StateTensors, steps_done: int) -> None:
        """Take a member's state; all members must be loaded at the same step."""

    def begin(self, member: int, names: Sequence[str], weights: StateTensors) -> None:
        """Take weights by their names in place of those that a fresh member has drawn."""


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
        # A network of anybody's may draw in its forward pass: from the seed and the step.
        self._drawn_by = members[0].seed if isinstance(architecture, ModuleNetwork) else None
        # Of each member, where a share is dropped; and the keys of the step that is made.
        seeds = [draw_seed(m.seed, "dropout") for m in members]
        drops = isinstance(architecture, Architecture) and architecture.dropout > 0
        self._drop_k = torch.tensor(seeds, device=device) if drops else None
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
                del weight  # before there is the next
        self._optimizer.start(self.module.weights)

    @property
    def ran(self) -> Ran:
        """See ``Engine.ran``."""
        return Ran("eager")

    def _built(
        self, architecture: Network, options: StepOptions, seed: int
    ) -> ModelLoss | ModuleLoss:
        """What computes, before it has its parameters."""
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
        """What of a whole tensor this process updates: all of it."""
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
        """What the members drop by in a step, (k,); nothing where they drop nothing."""
        return () if self._drop_k is None else (key_of(self._drop_k, count),)

    def _update(self, lr_k: Tensor, count: int | Tensor) -> Tensor:
        """Take the gradient into the weights; its norms, (k,)."""
        return self._optimizer.step(self.module.weights, self.module.gradient, lr_k, count)

    def _accumulate(self, tokens_kBT: Tensor, backward: Backward) -> Tensor:
        """Add up the gradients of a batch's parts; the mean losses of the whole, (k,)."""
        batch = tokens_kBT.shape[1]
        total_k = torch.zeros(self.members, device=tokens_kBT.device)
        parts = tokens_kBT.split(self.micro_batch or batch, dim=1)
        with matrix_products(self.options.precision):
            for i, part in enumerate(parts):
                share = part.shape[1] / batch  # the last part may be smaller
                losses_k, penalties_k = self._losses(part, *self._keys_k)
                if i == len(parts) - 1:
                    self.reduce.begin()
                # The sum's gradient is, for each member, that of its own loss: members never mix.
                backward(((losses_k + penalties_k) * share).sum())
                total_k += losses_k.detach() * share
        return total_k

    def train(self, tokens_SkBT: np.ndarray, lr_Sk: np.ndarray, backward: Backward) -> ChunkResult:
        """See ``Engine.train``."""
        tokens, lr = self._moved(tokens_SkBT), self._moved(lr_Sk)
        results = torch.empty(2, len(tokens), self.members, device=tokens.device)
        for s in range(len(tokens)):
            if s == len(tokens) - 1:
                self._before = self.module.weights.clone() if self.watched else None
            results[0, s], results[1, s] = self.step(tokens[s].long(), lr[s], backward)
        loss, grad_norm = results.cpu().numpy()
        return ChunkResult(loss, grad_norm)

    def _moved(self, values: np.ndarray) -> Tensor:
        """The same on the device, as narrow as it is; no copy waits for those before it."""
        device, held = self.module.weights.device, torch.from_numpy(values)
        if device.type == "cuda":
            held = held.pin_memory()
        return held.to(device, non_blocking=True)

    @torch.no_grad()
    def evaluate(self, windows_WT: np.ndarray) -> np.ndarray:
        """See ``Engine.evaluate``."""
        losses_at = self._at(self._optimizer.evaluation_weights(self.module.weights))
        device = self.module.weights.device
        total_k = torch.zeros(self.members, dtype=torch.float64, device=device)
        size = self._windows_at_once(windows_WT.shape[1])
        with matrix_products(self.options.precision), self._untouched(training=False):
            for start in range(0, len(windows_WT), size):
                part = self._moved(windows_WT[start : start + size]).long()
                losses_k, _ = losses_at(part.expand(self.members, *part.shape))
                total_k += losses_k.double() * len(part)
        return (total_k / len(windows_WT)).cpu().numpy()

    def _windows_at_once(self, length: int) -> int:
        """Windows of one pass of validation, which must not take more memory than training."""
        tokens, chunk = EVALUATION_TOKENS, self.options.loss_chunk
        if chunk is None or chunk > tokens:
            tokens = min(tokens, EVALUATION_BYTES // (4 * self.vocab))
        size = max(1, tokens // (length * self.members))
        if self.module.weights.device.type == "cuda":  # waits for short passes
            size = max(size, self.micro_batch or 1)  # what it holds in training
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
                ),
            )

    @contextmanager
    def _untouched(self, training: bool) -> Iterator[None]:
        """Look at a network of anybody's and leave what its passes change as it was."""
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
        """What a checkpoint holds beside parameters and moments: state of the network's own."""
        for name, buffer in persistent_buffers(self._loss.model).items():
            yield f"buffer/{name}", buffer[None]

    def _gradients(self, tokens_kBT: Tensor) -> Tensor:
        """Gradients of the members' objectives as they are, (k, P)."""
        self.module.clear_gradient()
        # By eager steps: to compile another size of batch takes longer than it would save.
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
        own = {key.partition("/")[2]: buffer for key, buffer in self._held_buffers()}
        for name in names:  # of parts of a model each rank takes a tensor, in one order
            whole, views = weights[name], self.module.views
            if name in views:
                views[name][member].copy_(self._own(name, whole))
            elif name in own:
                own[name][member].copy_(whole)
        self._optimizer.start(self.module.weights)

    def _parts(self) -> Iterator[tuple[str, Tensor]]:
        """All that a checkpoint holds by ``part/name``, the members in front."""
        for part, held in {"weight": self.module.weights, **self._optimizer.moments}.items():
            tensors = split(held, self._names) if isinstance(held, Tensor) else held
            for name, view in tensors.items():
                yield f"{part}/{name}", view
        if self._drawn_by is not None:
            yield from self._held_buffers()

    def _losses(self, tokens_kBT: Tensor, *keys_k: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss of each member on its own tokens and what its objective adds, both (k,)."""
        if self.members == 1:  # the same operations without vmap, a tenth faster on a CPU
            loss, penalty = self._loss(tokens_kBT[0], *(key_k[0] for key_k in keys_k))
            return loss[None], penalty[None]
        return self._with(self.module.named(), tokens_kBT, *keys_k)

    def _at(self, weights: Tensor) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """The same as a function, at other weights (k, P) than those that are trained."""
        return partial(self._with, self.module.by_name(weights, self._names))

    def _with(
        self, named: Mapping[str, Tensor], tokens_kBT: Tensor, *keys_k: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The same with parameters by name."""
        parameters = {f"model.{name}": p for name, p in named.items()}
        if self.members == 1:
            loss, penalty = functional_call(self._loss, parameters, (tokens_kBT[0],))
            return loss[None], penalty[None]

        def of_member(own: State, *given: Tensor) -> tuple[Tensor, Tensor]:
            return functional_call(self._loss, own, given)

        return vmap(of_member)(parameters, tokens_kBT, *keys_k)


def check_device(device: str) -> None:
    """Raise `UserError` if this machine has no such device."""
    if device != "cpu" and not torch.cuda.is_available():
        raise UserError(
            f"execution.device = {device!r}: torch finds no CUDA device here; allowed is cpu"
        )


def _builder(made_by: str) -> Callable[..., Engine]:
    """What builds an engine that may stand in a file of its own, which takes its parts from here."""
    module, _, name = made_by.partition(":")

    def build(*arguments: Any, **named: Any) -> Engine:
        engine: Engine = getattr(importlib.import_module(module), name)(*arguments, **named)
        return engine

    return build


ENGINES: Mapping[str, Callable[..., Engine]] = {
    name: _builder(engine.made_by) for name, engine in DEFINED.items()
}
