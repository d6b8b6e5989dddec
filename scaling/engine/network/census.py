"""Tensors, roles and FLOPs of a network that somebody else wrote, by building and running it.

It runs on the meta device, where tensors have sizes and no numbers, or with fake tensors of the
CPU, which have none either; if its code asks for numbers, on the CPU. FLOPs follow torch's own
formulas (``torch.utils.flop_counter``), operation by operation, for one forward pass; the backward
pass costs twice that. A product is with weights if one side was made of parameters alone: it counts
in the block or the unembedding. Any other product counts as attention.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel

from scalinglab.scaling.engine.network.module import (
    build,
    in_words,
    logits_of,
    options_in_words,
    persistent_buffers,
)
from scalinglab.scaling.engine.network.module_roles import growths, roles_of
from scalinglab.scaling.engine.network.watch import Watch
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.module import Census, ModuleNetwork, TensorCount

BATCH = 2  # sequences of the pass that is counted
_FORWARD_AND_BACKWARD = 3


def census(network: ModuleNetwork) -> Census:
    """Build a network and run it once.

    Raises
    ------
    ConfigError
        If it cannot be built, does not map tokens (B, T) to logits (B, T, V), or has parameters
        that are not float32 or not trained.
    """
    module, watch, logits, without_meta = _counted(network)
    _check_logits(network, logits)
    _check_parameters(network, module)
    roles = roles_of(network, module, watch)
    growth = growths(network, module, roles)
    uses = {
        n: watch.flops[n] / (2 * BATCH * network.context * p.numel())
        for n, p in module.named_parameters()
    }
    tensors = {
        name: TensorCount(tuple(p.shape), *roles[name], growth[name], uses[name])
        for name, p in module.named_parameters()
    }
    tied = watch.head if roles.get(watch.head, ("",))[0] == "embedding" else ""
    counts = _counts(tensors, tied)
    embedding = next((t.size for t in tensors.values() if t.role == "embedding"), ())
    return Census(
        tensors=tensors,
        counts=counts,
        flops=_flops(network, watch, counts),
        kept_floats=_kept(network, module, watch),
        width=embedding[-1] if embedding else 0,
        depth=max((len(m) for m in module.modules() if isinstance(m, nn.ModuleList)), default=0),
        buffers={n: tuple(b.shape) for n, b in persistent_buffers(module).items()},
        tied=bool(tied),
        without_meta=without_meta,
    )


def _counted(network: ModuleNetwork) -> tuple[nn.Module, Watch, Any, str]:
    """A network that has run once, and why it needed numbers; empty if it did not."""
    try:
        return *_on_meta(network), ""
    except ConfigError:
        raise
    except Exception as error:  # its code may ask for numbers
        without_meta = in_words(error)
    try:
        # Some libraries ask tensors on the meta device for numbers, but no fake tensors of the CPU.
        with FakeTensorMode(allow_non_fake_inputs=True):
            return *_on_cpu(network), ""
    except Exception:
        pass
    try:
        return *_on_cpu(network), without_meta
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"model.target = {network.target!r} with {options_in_words(network)}: its forward "
            f"pass on tokens ({BATCH}, {network.context}) fails: {in_words(error)}"
        ) from error


def _on_meta(network: ModuleNetwork) -> tuple[nn.Module, Watch, Any]:
    with torch.device("meta"):
        module = build(network, 0)
    module.to("meta")  # also what was made from numbers, such as tables
    return _run(network, module, torch.zeros(*_size(network), dtype=torch.long, device="meta"))


def _on_cpu(network: ModuleNetwork) -> tuple[nn.Module, Watch, Any]:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(network.vocab, _size(network), generator=generator)
    return _run(network, build(network, 0), tokens)


def _size(network: ModuleNetwork) -> tuple[int, int]:
    return BATCH, network.context


def _run(network: ModuleNetwork, module: nn.Module, tokens: Tensor) -> tuple[nn.Module, Watch, Any]:
    watch = Watch(module, network.context, network.vocab)
    # Attention as its two products, whose FLOPs torch counts on every device.
    with (
        torch.random.fork_rng(devices=[]),
        torch.enable_grad(),
        sdpa_kernel(SDPBackend.MATH),
        watch.kept(),
        watch,
    ):
        return module, watch, logits_of(module(tokens))


# ---------------------------------------------------------------------- refusals


def _check_logits(network: ModuleNetwork, logits: Any) -> None:
    size = (BATCH, network.context, network.vocab)
    if not isinstance(logits, Tensor):
        returned = f"a {type(logits).__name__}"
    elif tuple(logits.shape) != size or not logits.is_floating_point():
        returned = f"a tensor {tuple(logits.shape)}"
    else:
        return
    raise ConfigError(
        f"model.target = {network.target!r} maps tokens {size[:2]} to {returned}; expected are "
        f"logits {size}: (B, T, V), V = {network.vocab} symbols of the data; by themselves, first "
        "of a tuple, or as .logits"
    )


def _check_parameters(network: ModuleNetwork, module: nn.Module) -> None:
    subject = f"model.target = {network.target!r}: the parameter"
    for name, parameter in module.named_parameters():
        if parameter.dtype != torch.float32:
            raise ConfigError(f"{subject} {name} is {parameter.dtype}; allowed is float32")
        if not parameter.requires_grad:
            raise ConfigError(
                f"{subject} {name} is not trained (requires_grad = False): make it a buffer, and a "
                "checkpoint keeps it"
            )
    if not dict(module.named_parameters()):
        raise ConfigError(f"model.target = {network.target!r} has no parameters")


# ---------------------------------------------------------------------- counts


def _counts(tensors: dict[str, TensorCount], tied: str) -> dict[str, int]:
    """Parameters by role, and the sums that studies use."""
    of_role: Counter[str] = Counter()
    for tensor in tensors.values():
        of_role[tensor.role] += math.prod(tensor.size)
    unembedding = math.prod(tensors[tied].size) if tied else of_role["head"]
    block = sum(of_role[role] for role in ("hidden", "kernel", "router"))
    active = sum(
        t.uses * math.prod(t.size)
        for name, t in tensors.items()
        if t.role != "head" and name != tied
    )
    return {
        "embedding": of_role["embedding"],
        "hidden": block,
        "gain": of_role["gain"],
        "bias": of_role["bias"],
        "other": of_role["other"],
        "unembedding": unembedding,
        "n_block": block,
        "n_matmul": block + unembedding,
        "n_total": sum(of_role.values()),
        "n_active": round(active) + unembedding,
    }


def _flops(
    network: ModuleNetwork,
    watch: Watch,
    counts: dict[str, int],
) -> dict[str, int]:
    """FLOPs per trained token by part, as ``scalinglab.scaling.model.flops.flop_parts``."""
    tokens = BATCH * network.context
    block, unembedding = 6 * (counts["n_active"] - counts["unembedding"]), 6 * counts["unembedding"]
    maps, others, scores = (
        _FORWARD_AND_BACKWARD * count // tokens
        for count in (watch.maps, watch.others, 3 * watch.scores)
    )
    return {
        "block": block,
        "unembedding": unembedding,
        "matmul": block + unembedding,
        "attention_causal": maps // 2 + others,  # a causal pass sees half of a map
        "attention_full": maps + others,
        "softmax": scores,
        "embedding": 6 * counts["embedding"],
        "gain": 6 * (counts["gain"] + counts["bias"]),
    }


def _kept(network: ModuleNetwork, module: nn.Module, watch: Watch) -> float:
    """Floats kept per token: its logits, their log-softmax and its gradient are three more."""
    return watch.kept_bytes / 4 / (BATCH * network.context) + 3 * network.vocab
