"""Measurements of a training between its steps, which do not change a bit of it.

Each function takes k models as they are and the batch that they will see next, and returns the
numbers of each model by column name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from scalinglab.scaling.engine.network.attention_calls import AttentionCalls
from scalinglab.scaling.engine.network.module import logits_of
from scalinglab.scaling.engine.network.stacked import split
from scalinglab.scaling.engine.network.streams import read_by_head
from scalinglab.scaling.registry import Registry, function
from scalinglab.scaling.run.measurements import MEASUREMENTS

Columns = dict[str, Tensor]  # name -> (k,)
# Module, its inputs, its output -> a tensor.
Look = Callable[[Any, Any, Any], Tensor]
# Each step shrinks all but the top direction by the squared ratio of singular values.
POWER_STEPS = 50


@dataclass(frozen=True)
class Subject:
    """k models at a step.

    Attributes
    ----------
    model : nn.Module
        Tokens (B, T) to logits (B, T, V); its blocks are ``blocks``.
    weights : dict
        Parameters by name, (k, ...).
    before : dict or None
        The same before the last update.
    tokens_kBT : Tensor
        The next batch, targets included.
    part : int
        Sequences of each member in one backward pass.
    gradients : callable
        Tokens (k, b, T) to the gradients of each member's objective, (k, P).
    multiplier : float
        Factor of the logits in the objective, beside those that the model applies.
    precision : str
        Of the run: its forward passes are measured as it makes them.
    """

    model: nn.Module
    weights: Mapping[str, Tensor]
    before: Mapping[str, Tensor] | None
    tokens_kBT: Tensor
    part: int
    gradients: Callable[[Tensor], Tensor]
    multiplier: float = 1.0
    precision: str = "fp32"

    def forward(self, member: int, tokens_bT: Tensor) -> Any:
        """The model's output for one member's tokens, by the operations of its run."""
        weights = {name: weight[member] for name, weight in self.weights.items()}
        half, kind = self.precision == "bf16", tokens_bT.device.type
        with torch.autocast(kind, torch.bfloat16, half, cache_enabled=False):
            return functional_call(self.model, weights, (tokens_bT,))


# Measurement -> its arithmetic; each is described in ``scalinglab.scaling.run.measurements``.
MEASURED_BY: Registry[Callable[[Subject], Columns]] = Registry("execution.measure")
MEASURED_BY.wants(function)


@MEASURED_BY.register("noise_scale")
def noise_scale(subject: Subject) -> Columns:
    """Simple noise scale B = tr(S) / |G|^2 in tokens (McCandlish et al., arXiv 1812.06162, A.1).

    From the squared norms of the gradients of a batch and of its parts follow two unbiased
    estimates: ``gradient_signal`` |G|^2 and ``gradient_noise`` tr(S). Average each over steps
    before dividing: their ratio at one step, ``noise_scale``, is biased and may be negative.
    """
    batch, tokens = subject.tokens_kBT.shape[1], subject.tokens_kBT.shape[2] - 1
    # Four parts or more: the estimate is a difference of norms of a small and a big batch.
    size = max(1, min(subject.part, batch // 4))
    batches = subject.tokens_kBT[:, : batch // size * size].split(size, dim=1)
    if len(batches) < 2:
        return {}
    squares = torch.zeros((), device=subject.tokens_kBT.device)
    total = torch.zeros_like(squares)
    for tokens_kbT in batches:
        gradient = subject.gradients(tokens_kbT)
        squares = squares + gradient.square().sum(1) / len(batches)
        total = total + gradient / len(batches)
    small, big = size * tokens, len(batches) * size * tokens
    square_of_total = total.square().sum(1)
    signal = (big * square_of_total - small * squares) / (big - small)
    noise = (squares - square_of_total) / (1 / small - 1 / big)
    return {"gradient_signal": signal, "gradient_noise": noise, "noise_scale": noise / signal}


@MEASURED_BY.register("activations")
def activations(subject: Subject) -> Columns:
    """Root mean square of the residual stream after each block, ``activation_rms.<layer>``.

    Several streams are taken as the head would read them, as the probe of this name takes them.
    """
    blocks = list(subject.model.get_submodule("blocks").children())

    def mean_square(block: nn.Module, _: object, output: Tensor | tuple[Tensor, ...]) -> Tensor:
        stream_BTD = read_by_head(block, output).detach().float()
        return stream_BTD.reshape(1, -1).square().mean(1)[0]

    means = _means(subject, [(block, mean_square) for block in blocks])
    return {f"activation_rms.{i}": mean.sqrt() for i, mean in enumerate(means)}


@MEASURED_BY.register("parts")
def parts(subject: Subject) -> Columns:
    """The numbers that parts of the blocks report: ``<name>.<layer>``, and the mean of all."""
    blocks = subject.model.get_submodule("blocks").children()
    tellers = [
        (layer, module)
        for layer, block in enumerate(blocks)
        for module in block.modules()
        if hasattr(module, "tell")
    ]
    names: list[tuple[str, ...]] = [()] * len(tellers)
    watched = []
    for place, (_, module) in enumerate(tellers):

        def report(
            module: Any, inputs: tuple[Tensor, ...], _: object, place: int = place
        ) -> Tensor:
            numbers = module.tell(inputs[0])
            names[place] = tuple(numbers)
            return torch.stack([number.detach().float() for number in numbers.values()])

        watched.append((module, report))
    columns: Columns = {}
    of_name: dict[str, list[Tensor]] = {}
    means = _means(subject, watched)
    for (layer, _), names_of_module, numbers_kN in zip(tellers, names, means, strict=True):
        for name, number_k in zip(names_of_module, numbers_kN.unbind(1), strict=True):
            columns[f"{name}.{layer}"] = number_k
            of_name.setdefault(name, []).append(number_k)
    return columns | {name: torch.stack(layers).mean(0) for name, layers in of_name.items()}


def _means(subject: Subject, watched: Sequence[tuple[nn.Module, Look]]) -> list[Tensor]:
    """The mean over the batch of what each look returns at its module's calls, (k, ...).

    If blocks are run several times, the last call counts.
    """
    looks: list[list[Tensor]] = [[] for _ in watched]  # of each module, one tensor a pass
    passes = 0

    def begin(*_: object) -> None:
        nonlocal passes
        passes += 1

    def keeping(look: Look, of_module: list[Tensor]) -> Callable[[Any, Any, Any], None]:
        def keep(module: Any, inputs: Any, output: Any) -> None:
            of_module[passes - 1 :] = [look(module, inputs, output)]

        return keep

    hooks = [subject.model.register_forward_pre_hook(begin)]
    for (module, look), of_module in zip(watched, looks, strict=True):
        hooks.append(module.register_forward_hook(keeping(look, of_module)))
    shares = []  # of each part in the batch
    try:
        for logits_kbTV in _logits(subject):
            shares.append(logits_kbTV.shape[1] / subject.tokens_kBT.shape[1])
    finally:
        for hook in hooks:
            hook.remove()
    members = len(subject.tokens_kBT)
    return [
        torch.stack([_weighted_sum(of_module[m::members], shares) for m in range(members)])
        for of_module in looks
    ]


@MEASURED_BY.register("logits")
def logits(subject: Subject) -> Columns:
    """Root mean square and largest size of the logits, ``logit_rms`` and ``logit_max``.

    ``log_partition`` is the mean of log Z, the logarithm of the sum of their exponentials: its
    drift away from 0 is the second instability of arXiv 2309.14322.
    """
    batch = subject.tokens_kBT.shape[1]
    squares, largest = torch.zeros((), device=subject.tokens_kBT.device), []
    log_z = torch.zeros_like(squares)
    for logits_kbTV in _logits(subject):
        share = logits_kbTV.shape[1] / batch
        squares = squares + logits_kbTV.flatten(1).square().mean(1) * share
        log_z = log_z + logits_kbTV.logsumexp(-1).flatten(1).mean(1) * share
        largest.append(logits_kbTV.flatten(1).abs().amax(1))
    return {
        "logit_rms": squares.sqrt(),
        "logit_max": torch.stack(largest).amax(0),
        "log_partition": log_z,
    }


@MEASURED_BY.register("attention")
@torch.no_grad()
def attention(subject: Subject) -> Columns:
    """Largest attention logit and mean entropy of each layer, and the largest of all.

    ``attention_logit_max.<layer>``, ``attention_entropy.<layer>``, ``attention_logit_max``; entropy
    is relative to that of uniform attention (arXiv 2309.14322, 2303.06296).
    """
    calls = [AttentionCalls() for _ in subject.tokens_kBT]
    for part_kbT in subject.tokens_kBT.split(subject.part, dim=1):
        share = part_kbT.shape[1] / subject.tokens_kBT.shape[1]
        for i, tokens_bT in enumerate(part_kbT):
            calls[i].begin(share)
            with calls[i]:
                subject.forward(i, tokens_bT[:, :-1])
    if not calls[0].logit_max:
        return {}
    largest_kL = torch.tensor([of_member.logit_max for of_member in calls])
    entropy_kL = torch.tensor([of_member.entropy for of_member in calls])
    columns = {f"attention_logit_max.{i}": v for i, v in enumerate(largest_kL.unbind(1))}
    columns |= {f"attention_entropy.{i}": v for i, v in enumerate(entropy_kL.unbind(1))}
    return columns | {"attention_logit_max": largest_kL.amax(1)}


@MEASURED_BY.register("gradients")
def gradients(subject: Subject) -> Columns:
    """Root mean square of each tensor's gradient, and the least of all.

    ``gradient_rms.<tensor>``, ``gradient_rms_min``; of the next batch, before clipping. Below the
    epsilon of Adam a tensor is not updated at full size (arXiv 2309.14322, 2407.05872).
    """
    total = torch.zeros((), device=subject.tokens_kBT.device)
    for tokens_kbT in subject.tokens_kBT.split(subject.part, dim=1):
        share = tokens_kbT.shape[1] / subject.tokens_kBT.shape[1]
        total = total + subject.gradients(tokens_kbT) * share
    sizes = {name: weight.shape[1:] for name, weight in subject.weights.items()}
    columns = {f"gradient_rms.{name}": _rms(g) for name, g in split(total, sizes).items()}
    return columns | {"gradient_rms_min": torch.stack([*columns.values()]).amin(0)}


@MEASURED_BY.register("updates")
def updates(subject: Subject) -> Columns:
    """Root mean square of each tensor and of its last update: ``weight_rms.*, update_rms.*``."""
    if subject.before is None:
        return {}
    columns = {f"weight_rms.{name}": _rms(weight) for name, weight in subject.weights.items()}
    for name, weight in subject.weights.items():
        columns[f"update_rms.{name}"] = _rms(weight - subject.before[name])
    return columns


@MEASURED_BY.register("singular_values")
def singular_values(subject: Subject) -> Columns:
    """Top singular value of each matrix of the blocks, ``top_singular_value.<name>``.

    For several experts it is the largest of all. Power iteration approaches it from below, to about
    a per cent.
    """
    return {
        f"top_singular_value.{name}": _top_singular_value(weight)
        for name, weight in subject.weights.items()
        if name.startswith("blocks") and weight.dim() > 2
    }


def measure(names: list[str], subject: Subject) -> list[dict[str, float]]:
    """The named measurements, a dictionary of columns for each member."""
    columns: dict[str, np.ndarray] = {}
    for name in names:
        measured = MEASURED_BY[name](subject)
        MEASUREMENTS[name].refuse_others(name, measured)
        columns |= {c: v.detach().double().cpu().numpy() for c, v in measured.items()}
    members = len(subject.tokens_kBT)
    return [{c: float(v[i]) for c, v in columns.items()} for i in range(members)]


@torch.no_grad()
def _logits(subject: Subject) -> Iterator[Tensor]:
    """Logits of all members as in the objective, part after part of the batch, (k, b, T, V).

    Members run one by one, as hooks see no packs; parts, as all logits may not fit in memory.
    """
    for part_kbT in subject.tokens_kBT.split(subject.part, dim=1):
        outputs = []
        for i, tokens_bT in enumerate(part_kbT):
            outputs.append(logits_of(subject.forward(i, tokens_bT[:, :-1])).float())
        logits_kbTV = torch.stack(outputs)
        yield logits_kbTV if subject.multiplier == 1 else logits_kbTV * subject.multiplier


def _weighted_sum(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = torch.zeros_like(tensors[0])
    for tensor, weight in zip(tensors, weights, strict=True):
        total = total + tensor * weight
    return total


def _rms(tensor: Tensor) -> Tensor:
    """Root mean square over all axes but the first."""
    return tensor.detach().reshape(len(tensor), -1).square().mean(1).sqrt()


def _top_singular_value(matrices: Tensor) -> Tensor:
    seed = torch.Generator().manual_seed(0)
    vector = torch.randn(matrices.shape[-1], 1, generator=seed).to(matrices.device)
    for _ in range(POWER_STEPS):
        vector = matrices.mT @ (matrices @ vector)
        vector = vector / vector.norm(dim=(-2, -1), keepdim=True)
    return (matrices @ vector).norm(dim=(-2, -1)).view(len(matrices), -1).amax(1)
