"""Role and growth of each parameter of a network that somebody else wrote."""

from __future__ import annotations

from fnmatch import fnmatchcase

from torch import nn

from scalinglab.scaling.engine.network.watch import Watch
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import one_of
from scalinglab.scaling.model.module import ROLES, ModuleNetwork


def roles_of(network: ModuleNetwork, module: nn.Module, watch: Watch) -> dict[str, tuple[str, str]]:
    """Role of each parameter, and why; the reason is empty if the role was stated."""
    stated = {**_annotated(network, module), **network.roles}
    unused = [pattern for pattern in stated if not _matching(pattern, module)]
    if unused:
        raise ConfigError(
            f"model.roles: no parameter of {network.target} is called {unused[0]!r}; there are "
            f"{', '.join(name for name, _ in module.named_parameters())}"
        )
    roles = {
        name: _guess(name, parameter, module, watch)
        for name, parameter in module.named_parameters()
    }
    for pattern, role in stated.items():
        roles |= dict.fromkeys(_matching(pattern, module), (role, ""))
    return roles


def _annotated(network: ModuleNetwork, module: nn.Module) -> dict[str, str]:
    """The attribute ``roles`` of a module: pattern of names -> role."""
    roles = getattr(module, "roles", {})
    if not isinstance(roles, dict):
        return {}
    for pattern, role in roles.items():
        one_of(f"roles[{pattern!r}] of {network.target}", role, ROLES)
    return roles


def _matching(pattern: str, module: nn.Module) -> list[str]:
    return [name for name, _ in module.named_parameters() if fnmatchcase(name, pattern)]


def _guess(name: str, parameter: nn.Parameter, module: nn.Module, watch: Watch) -> tuple[str, str]:
    path, _, last_name = name.rpartition(".")
    owner = module.get_submodule(path)
    kind = type(owner).__name__
    if isinstance(owner, nn.Embedding):
        return "embedding", f"of {kind}"
    if parameter.dim() < 2:
        if last_name.endswith("bias") or last_name.startswith("bias"):
            return "bias", "its name"
        if "norm" in kind.lower() or last_name.endswith(("gain", "scale", "gamma")):
            return "gain", f"of {kind}"
        return "bias", "a vector"
    if not watch.flops[name]:
        return "other", "no product has it: no decay, rates as a bias"
    if name == watch.head and module.get_parameter(name).numel() % watch.vocab == 0:
        return "head", "the last product gives the logits"
    if name in watch.kernels:
        return "kernel", "of a convolution"
    return "hidden", "tokens are multiplied with it"


def growths(
    network: ModuleNetwork, module: nn.Module, roles: dict[str, tuple[str, str]]
) -> dict[str, float]:
    """The fan-in of each tensor over its fan-in in the base model.

    Corrects `roles`: a matrix of which only the fan-in grows is a router.
    """
    growth = dict.fromkeys(roles, 1.0)
    if network.parametrization == "sp":
        return growth
    base = network.base.census.tensors
    if set(base) != set(roles):
        raise ConfigError(
            f"model.base_options makes {network.target} with other parameters "
            f"({', '.join(sorted(set(base) ^ set(roles))[:3])}): the base differs in sizes alone"
        )
    for name, parameter in module.named_parameters():
        size, at_base = tuple(parameter.shape), base[name].size
        if len(size) != len(at_base):
            raise ConfigError(f"model.base_options gives {name} another number of axes")
        ratios = [side / base_side for side, base_side in zip(size, at_base, strict=True)]
        role, why = roles[name]
        axis = 1 if role == "kernel" and len(ratios) > 1 else -1
        growth[name] = ratios[axis]
        if role == "hidden" and why and len(ratios) == 2 and ratios[0] == 1 < ratios[1]:
            roles[name] = "router", "its fan-in alone grows with the width"
    if all(ratio == 1 for ratio in growth.values()) and network.base_options != {
        key: network.options[key] for key in network.base_options
    }:
        raise ConfigError(
            f"model.base_options = {dict(network.base_options)} changes the size of no parameter "
            f"of {network.target}: name the options that make it wider"
        )
    return growth
