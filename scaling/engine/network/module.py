"""Networks that somebody else wrote: how they are built from their target, and their loss.

A network draws its initial weights from torch's generator, which is seeded by the run's seed alone.
The module's own initial scale is kept; under mup it is the scale at the base, carried to the width.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.network.cross_entropy import mean_cross_entropy
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extensions.targets import find
from scalinglab.scaling.model.module import ModuleNetwork
from scalinglab.scaling.run.step_options import StepOptions

MATRICES = ("embedding", "hidden", "kernel", "router", "head")
# Under mup a deviation is that at the base times this power of the growth.
DEVIATIONS = {"embedding": 0.0, "hidden": -0.5, "kernel": -0.5, "router": -1.0, "head": -1.0}


class ModuleLoss(nn.Module):
    """Mean loss of tokens (B, T + 1), the last of each sequence being only a target."""

    def __init__(self, network: ModuleNetwork, options: StepOptions, seed: int) -> None:
        super().__init__()
        self.model = build(network, seed)
        self.options = options
        self.multiplier = network.head_multiplier

    def forward(self, tokens_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy in nats a token, and what the objective adds to it; both scalars."""
        half = self.options.precision == "bf16"
        with torch.autocast(tokens_BT.device.type, torch.bfloat16, half, cache_enabled=False):
            output = self.model(tokens_BT[:, :-1])
        logits_NV = logits_of(output).flatten(0, 1).float()
        if self.multiplier != 1:
            logits_NV = logits_NV * self.multiplier
        targets_N = tokens_BT[:, 1:].flatten()
        loss = mean_cross_entropy(logits_NV, targets_N, self.options.excluded)
        penalty = torch.zeros_like(loss)
        if isinstance(output, tuple) and len(output) > 1:
            penalty = penalty + output[1]
        if self.options.z_loss:
            penalty = penalty + self.options.z_loss * logits_NV.logsumexp(-1).square().mean()
        return loss, penalty


def logits_of(output: Any) -> Any:
    """The logits in the output of a network: the output, the first of a tuple, or ``.logits``."""
    if isinstance(output, tuple):
        return output[0]
    return getattr(output, "logits", output)


def build(network: ModuleNetwork, seed: int) -> nn.Module:
    """A fresh module, its initial weights drawn by the seed.

    Raises
    ------
    ConfigError
        If the target is not found, or does not take the options.
    """
    make = find(network.target)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw_seed(seed, "weights"))
        module = _constructed(make, network)
    if not isinstance(module, nn.Module):
        raise ConfigError(
            f"model.target = {network.target!r} makes a {type(module).__name__}: expected is an "
            "nn.Module from tokens (B, T) to logits (B, T, V)"
        )
    return module.train()


def draw_seed(seed: int, purpose: str) -> int:
    """The seed of a torch generator for one purpose of a run, such as its weights."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{purpose}".encode()).digest()[:8], "little") >> 1


def persistent_buffers(module: nn.Module) -> dict[str, Tensor]:
    """The buffers that belong to the state of a module, by name."""
    state = module.state_dict(keep_vars=True)
    return {name: buffer for name, buffer in module.named_buffers() if name in state}


def module_weights(network: ModuleNetwork, seed: int) -> Iterator[tuple[str, Tensor]]:
    """The parameters of a fresh network by name, float32."""
    module = build(network, seed)
    scales = _scales(network, module, seed) if network.parametrization != "sp" else {}
    for name, weight in module.named_parameters():
        yield name, weight.detach() * scales[name] if name in scales else weight.detach()


def _scales(network: ModuleNetwork, module: nn.Module, seed: int) -> dict[str, float]:
    """Factors that give each matrix the deviation which mup derives from the base."""
    at_base = dict(build(network.base, seed).named_parameters())
    scales = {}
    for name, weight in module.named_parameters():
        tensor = network.census.tensors[name]
        rms = _rms(weight)
        if tensor.role in DEVIATIONS and weight.shape != at_base[name].shape and rms:
            rms_by_mup = _rms(at_base[name]) * tensor.growth ** DEVIATIONS[tensor.role]
            scales[name] = rms_by_mup / rms
    return scales


def _rms(weight: Tensor) -> float:
    return float(weight.detach().double().square().mean().sqrt())


# ---------------------------------------------------------------------- from options


def _constructed(make: Any, network: ModuleNetwork) -> Any:
    config_class = getattr(make, "config_class", None)
    if config_class is not None:  # a model of Hugging Face takes its configuration
        return _called(make, network, (_hf_config(config_class, network),), {})
    try:
        parameters = dict(inspect.signature(make).parameters)
    except (TypeError, ValueError):
        parameters = {}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    sizes = {"vocab": network.vocab}
    if "context" in parameters or takes_any:
        sizes["context"] = network.context
    allowed = [name for name in parameters if name not in ("vocab", "context", "self")]
    if parameters and not takes_any:
        if "vocab" not in parameters:
            raise ConfigError(
                f"model.target = {network.target!r} takes no keyword 'vocab', the number of "
                f"symbols of the data; it takes {', '.join(parameters) or 'none'}"
            )
        for key in network.options:
            if key in sizes or key not in parameters:
                why = "is the data's" if key == "vocab" else "is model.context"
                raise ConfigError(
                    f"model.options.{key}: {network.target} "
                    + (f"gets it beside, it {why}" if key in sizes else "does not take it")
                    + f"; allowed here: {', '.join(allowed) or 'none'}"
                )
        needed = [
            name
            for name in allowed
            if parameters[name].default is inspect.Parameter.empty
            and parameters[name].kind is not inspect.Parameter.VAR_POSITIONAL
            and name not in network.options
        ]
        if needed:
            raise ConfigError(
                f"model.options.{needed[0]} is not set, and {network.target} has no default for it"
            )
    return _called(make, network, (), {**sizes, **network.options})


def _called(make: Any, network: ModuleNetwork, arguments: tuple, keywords: dict[str, Any]) -> Any:
    try:
        return make(*arguments, **keywords)
    except Exception as error:  # the code of somebody else may raise anything
        raise ConfigError(
            f"model.target = {network.target!r} with {options_in_words(network)} cannot be built: "
            f"{in_words(error)}"
        ) from error


def _hf_config(config_class: Any, network: ModuleNetwork) -> Any:
    """A configuration of Hugging Face with our vocabulary and context, and without a cache."""
    default = config_class()
    for key in network.options:
        if not hasattr(default, key):
            raise ConfigError(
                f"model.options.{key}: {config_class.__name__} has no such key; its keys are "
                f"{', '.join(sorted(k for k in vars(default) if not k.startswith('_')))}"
            )
    sizes: dict[str, Any] = {"vocab_size": network.vocab}
    if hasattr(default, "max_position_embeddings"):
        sizes["max_position_embeddings"] = network.context
    return _called(config_class, network, (), {"use_cache": False, **sizes, **network.options})


def options_in_words(network: ModuleNetwork) -> str:
    """The options of a network, for messages."""
    return ", ".join(f"{k} = {v}" for k, v in network.options.items()) or "no options"


def in_words(error: BaseException) -> str:
    """Kind and first line of what somebody else's code raised."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
