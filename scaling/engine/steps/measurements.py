"""What is measured of a training in between, without touching it.

Each function takes k models as they are and a batch that they will see next, and gives numbers of
each by column name. Nothing here changes a bit of a run.
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
from scalinglab.scaling.registry import Registry, function
from scalinglab.scaling.run.measurements import MEASUREMENTS

Columns = dict[str, Tensor]  # name -> (k,)
# Module, its arguments and its result to a tensor.
Look = Callable[[Any, Any, Any], Tensor]
# Each step shrinks what is not the top direction by the squared ratio of singular values.
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
    """

    model: nn.Module
    weights: Mapping[str, Tensor]
    before: Mapping[str, Tensor] | None
    tokens_kBT: Tensor
    part: int
    gradients: Callable[[Tensor], Tensor]


# Measurement -> its arithmetic; each is described in ``scalinglab.scaling.run.measurements``.
MEASURED_BY: Registry[Callable[[Subject], Columns]] = Registry("execution.measure")
MEASURED_BY.wants(function)


@MEASURED_BY.register("noise_scale")
def noise_scale(subject: Subject) -> Columns:
    """Simple noise scale B = tr(S) / |G|^2 in tokens (McCandlish et al., arXiv 1812.06162, A.1).

    From the squared norms of the gradients of parts of a batch and of the whole, both estimates
    without bias: ``gradient_signal`` |G|^2 and ``gradient_noise`` tr(S). Average each over steps
    before dividing: their ratio at one step, ``noise_scale``, is biased and may be negative.
    """
    batch, tokens = subject.tokens_kBT.shape[1], subject.tokens_kBT.shape[2] - 1
    # Four parts or more: the estimate is a difference of norms of a small and a big batch.
    part = max(1, min(subject.part, batch // 4))
    parts = subject.tokens_kBT[:, : batch // part * part].split(part, dim=1)
    if len(parts) < 2:
        return {}
    squares = torch.zeros((), device=subject.tokens_kBT.device)
    total = torch.zeros_like(squares)
    for tokens_kbT in parts:
        gradient = subject.gradients(tokens_kbT)
        squares = squares + gradient.square().sum(1) / len(parts)
        total = total + gradient / len(parts)
    small, big = part * tokens, len(parts) * part * tokens
    whole = total.square().sum(1)
    signal = (big * whole - small * squares) / (big - small)
    noise = (squares - whole) / (1 / small - 1 / big)
    return {"gradient_signal": signal, "gradient_noise": noise, "noise_scale": noise / signal}


@MEASURED_BY.register("activations")
def activations(subject: Subject) -> Columns:
    """Root mean square of the residual stream after each block, ``activation_rms.<layer>``."""
    blocks = list(subject.model.get_submodule("blocks").children())

    def rms(block: nn.Module, _: object, out: Tensor | tuple[Tensor, ...]) -> Tensor:
        stream = out[0] if isinstance(out, tuple) else out
        return stream.detach().reshape(1, -1).square().mean(1)[0]

    found = [mean.sqrt() for mean in _means(subject, [(block, rms) for block in blocks])]
    return {f"activation_rms.{i}": values for i, values in enumerate(found)}


@MEASURED_BY.register("parts")
def parts(subject: Subject) -> Columns:
    """What the parts of the blocks tell of themselves: ``<name>.<layer>``, and the mean of all."""
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

        def told(module: Any, given: tuple[Tensor, ...], _: object, place: int = place) -> Tensor:
            numbers = module.tell(given[0])
            names[place] = tuple(numbers)
            return torch.stack([number.detach().float() for number in numbers.values()])

        watched.append((module, told))
    columns: Columns = {}
    of_name: dict[str, list[Tensor]] = {}
    for (layer, _), known, values in zip(tellers, names, _means(subject, watched), strict=True):
        for name, value_k in zip(known, values.unbind(1), strict=True):
            columns[f"{name}.{layer}"] = value_k
            of_name.setdefault(name, []).append(value_k)
    return columns | {name: torch.stack(values).mean(0) for name, values in of_name.items()}


def _means(subject: Subject, watched: Sequence[tuple[nn.Module, Look]]) -> list[Tensor]:
    """Of each module what a look at its calls gives, the mean over the batch, (k, ...).

    Where blocks are run several times, of the last.
    """
    found: list[list[Tensor]] = [[] for _ in watched]
    passes = 0

    def begin(*_: object) -> None:
        nonlocal passes
        passes += 1

    def keep(own: list[Tensor], value: Tensor) -> None:
        own[passes - 1 :] = [value]

    hooks = [subject.model.register_forward_pre_hook(begin)] + [
        module.register_forward_hook(
            lambda m, given, out, own=own, look=look: keep(own, look(m, given, out))
        )
        for (module, look), own in zip(watched, found, strict=True)
    ]
    shares = []  # of the batch, of each part
    try:
        for logits_kbTV in _logits(subject):
            shares.append(logits_kbTV.shape[1] / subject.tokens_kBT.shape[1])
    finally:
        for hook in hooks:
            hook.remove()
    members = len(subject.tokens_kBT)
    return [
        torch.stack([_weighted_sum(values[m::members], shares) for m in range(members)])
        for values in found
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
        log_z = log_z + logits_kbTV.float().logsumexp(-1).flatten(1).mean(1) * share
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
    is relative to that of even attention (arXiv 2309.14322, 2303.06296).
    """
    calls = [AttentionCalls() for _ in subject.tokens_kBT]
    for part_kbT in subject.tokens_kBT.split(subject.part, dim=1):
        share = part_kbT.shape[1] / subject.tokens_kBT.shape[1]
        for i, tokens_bT in enumerate(part_kbT):
            calls[i].begin(share)
            own = {name: weight[i] for name, weight in subject.weights.items()}
            with calls[i]:
                functional_call(subject.model, own, (tokens_bT[:, :-1],))
    if not calls[0].logit_max:
        return {}
    largest_kL = torch.tensor([one.logit_max for one in calls])
    entropy_kL = torch.tensor([one.entropy for one in calls])
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
    columns = {f"weight_rms.{name}": _rms(now) for name, now in subject.weights.items()}
    for name, now in subject.weights.items():
        columns[f"update_rms.{name}"] = _rms(now - subject.before[name])
    return columns


@MEASURED_BY.register("singular_values")
def singular_values(subject: Subject) -> Columns:
    """Top singular value of each matrix of the blocks, ``top_singular_value.<name>``.

    Of the matrices of several experts the largest of all.

    By power iteration: from below, within about a per cent.
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
    """Of all members, part after part, (k, b, T, V): one by one, as hooks see no packs.

    All logits of a batch may take more memory than its training does.
    """
    for part_kbT in subject.tokens_kBT.split(subject.part, dim=1):
        outputs = []
        for i, tokens_bT in enumerate(part_kbT):
            own = {name: weight[i] for name, weight in subject.weights.items()}
            outputs.append(logits_of(functional_call(subject.model, own, (tokens_bT[:, :-1],))))
        yield torch.stack(outputs)


def _weighted_sum(values: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = torch.zeros_like(values[0])
    for value, weight in zip(values, weights, strict=True):
        total = total + value * weight
    return total


def _rms(values: Tensor) -> Tensor:
    """Root mean square over all axes but the first."""
    return values.detach().flatten(1).square().mean(1).sqrt()


def _top_singular_value(matrices: Tensor) -> Tensor:
    seed = torch.Generator().manual_seed(0)
    vector = torch.randn(matrices.shape[-1], 1, generator=seed).to(matrices.device)
    for _ in range(POWER_STEPS):
        vector = matrices.mT @ (matrices @ vector)
        vector = vector / vector.norm(dim=(-2, -1), keepdim=True)
    return (matrices @ vector).norm(dim=(-2, -1)).view(len(matrices), -1).amax(1)
