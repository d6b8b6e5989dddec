"""From the model's keys to its architecture: depth gives the width, width the heads, and so on.

What does not go together is refused here, before anything is spent; what a choice does not use (a
base shape under ``sp``) is left out of the architecture, so that it makes no other run.
"""

from __future__ import annotations

from collections.abc import Iterable

from scalinglab.scaling.choices import is_used
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import keys_of, one_of
from scalinglab.scaling.model.architecture import GATED, Architecture, NetworkOptions
from scalinglab.scaling.model.module import ROLES, ModuleNetwork, Network
from scalinglab.scaling.model.options import ModelConfig, ModuleConfig, NetworkConfig
from scalinglab.scaling.model.part import Norm, Part, filled
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.read_options import check_ranges


def network_of(model: NetworkConfig, vocab: int) -> Network:
    """Determine the network of any keys, or say what is wrong with them.

    Raises
    ------
    ConfigError
        As `architecture_of`; of a network of anybody's what its keys say, not what it computes.
    """
    if isinstance(model, ModuleConfig):
        return _module_network(model, vocab)
    assert isinstance(model, ModelConfig)
    return architecture_of(model, vocab)


def _module_network(model: ModuleConfig, vocab: int) -> ModuleNetwork:
    check_ranges(model, "model")
    if not model.target:
        raise ConfigError(
            "model.target is empty: expected the name of a registered network, or an import path "
            "such as mine.MyNet"
        )
    for pattern, role in model.roles.items():
        one_of(f"model.roles.{pattern}", role, ROLES)
    if model.parametrization != "sp" and not model.base_options:
        raise ConfigError(
            f"model.parametrization = {model.parametrization!r} needs model.base_options, the "
            "options that make the network wider at the values where its learning rate is tuned: "
            "model.base_options.width=64"
        )
    unknown = sorted(set(model.base_options) - set(model.options))
    if unknown:
        raise ConfigError(
            f"model.base_options has {', '.join(unknown)}, and model.options has not: they are "
            "those of its keys that differ at the base"
        )
    return ModuleNetwork(**vars(model), vocab=vocab)


def architecture_of(model: ModelConfig, vocab: int) -> Architecture:
    """Determine the network, or say what is wrong with it.

    Raises
    ------
    ConfigError
        On a value that is not allowed, sizes that do not divide, or options that clash.
    """
    check_ranges(model, "model")
    shape = model_shape(model, vocab)
    _check_norms(model)
    _check_post_fraction(model)
    _check_parametrization(model)
    _check_loops(model)
    used = {key: getattr(model, key) for key in keys_of(NetworkOptions) if is_used(model, key)}
    architecture = Architecture(shape, **used)
    for part in architecture.parts:
        _check_part(part, architecture)
    _check_documents(architecture)
    return architecture


def model_shape(model: ModelConfig, vocab: int) -> Shape:
    """Turn the dial: depth gives the width, width gives the heads and the MLP.

    Raises
    ------
    ConfigError
        If width is not divisible by the heads, a head has an odd width, or the width of the MLP is
        not whole.
    """
    width = model.width if model.width is not None else model.aspect * model.depth
    return Shape(
        depth=model.depth,
        width=width,
        heads=_heads(model, width),
        mlp_width=_mlp_width(model, width),
        context=model.context,
        vocab=vocab,
    )


def _heads(model: ModelConfig, width: int) -> int:
    if model.heads is None and width % model.head_dim:
        raise ConfigError(
            f"model.width = {width} is not divisible by model.head_dim = {model.head_dim}; "
            f"allowed are multiples of {model.head_dim}, or set model.heads"
        )
    heads = model.heads if model.heads is not None else width // model.head_dim
    if heads < 1 or width % heads:
        divisors = [h for h in range(1, width + 1) if width % h == 0 and width // h % 2 == 0]
        raise ConfigError(
            f"model.width = {width} is not divisible by model.heads = {heads}; "
            f"allowed heads for this width: {', '.join(map(str, divisors))}"
        )
    if width // heads % 2:
        raise ConfigError(
            f"model.width = {width} with model.heads = {heads} gives heads of width "
            f"{width // heads}; rotary positions need an even one"
        )
    return heads


def _mlp_width(model: ModelConfig, width: int) -> int:
    """mlp_ratio * width, and two thirds of it with a third matrix: as many parameters.

    Where two thirds are no whole number, the nearest multiple of 8, as matrix units like it: every
    count is of the sizes that there are.
    """
    if model.mlp_width is not None:
        return model.mlp_width
    if model.activation not in GATED:
        return model.mlp_ratio * width
    if _whole_mlp(model, width):
        return 2 * model.mlp_ratio * width // 3
    return max(8, 8 * round(2 * model.mlp_ratio * width / 24))


def divides_evenly(model: ModelConfig) -> bool:
    """Whether heads, MLP and blocks of a width and depth are whole: a ladder takes only those."""
    width = model.width if model.width is not None else model.aspect * model.depth
    return width % model.head_dim == 0 and _whole_mlp(model, width) and _whole_blocks(model)


def _whole_mlp(model: ModelConfig, width: int) -> bool:
    gated = model.activation in GATED and model.mlp_width is None
    return not gated or 2 * model.mlp_ratio * width % 3 == 0


def _whole_blocks(model: ModelConfig) -> bool:
    if model.placement != "mix":
        return True
    blocks = model.post_fraction * model.depth
    return abs(blocks - round(blocks)) < 1e-6 and 0 < round(blocks) < model.depth


# ---------------------------------------------------------------------- clashes


def _check_loops(model: ModelConfig) -> None:
    if model.loops > 1:
        _refuse(
            model,
            "loops",
            {
                "norm_scale": ("one",),
                "init": ("normal", "small", "mimetic"),
                "parametrization": ("sp", "ntk", "mup"),
            },
            "it tells layers apart by their depth, and these are run at several",
        )


def _check_part(part: Part, architecture: Architecture) -> None:
    key = f"model.{part.slot}"
    check_ranges(part, key)
    if part.inits is not None and architecture.init not in part.inits:
        raise ConfigError(
            f"model.init = {architecture.init!r} clashes with {key}.name = {part.name!r}: it does "
            f"not know these tensors; allowed beside it: {', '.join(part.inits)}"
        )
    part.check(architecture)


def _check_documents(architecture: Architecture) -> None:
    if architecture.mixer.bounded and architecture.init == "lsuv":
        raise ConfigError(
            "model.init = 'lsuv' clashes with model.mixer, which stays within documents: it scales "
            "weights on drawn tokens, in which no document ends; allowed beside it: normal, small, "
            "mimetic"
        )


def _check_norms(model: ModelConfig) -> None:
    if filled(Norm, model.norm).absent:
        _refuse(
            model,
            "norm",
            {
                "placement": ("pre",),
                "norm_scale": ("one",),
                "embedding_scale": ("one", "sqrt_width"),
            },
            "there is no norm to place or to scale",
        )
    if model.norm_scale != "one":
        _refuse(model, "norm_scale", {"placement": ("pre",)}, "it scales the norms before a branch")
    if model.placement == "hybrid" and not model.qk_norm:
        raise ConfigError(
            "model.placement = 'hybrid' with model.qk_norm = False: it normalises "
            "queries, keys and values in place of attention's input; allowed is true"
        )
    if model.tied_head:
        _refuse(
            model,
            "tied_head",
            {
                "init": ("normal", "small", "mimetic"),
                "parametrization": ("sp", "mup", "completep"),
            },
            "embedding and head would need two scales",
        )


def _check_post_fraction(model: ModelConfig) -> None:
    blocks = model.post_fraction * model.depth
    if not _whole_blocks(model):
        raise ConfigError(
            f"model.post_fraction = {model.post_fraction:g} of model.depth = {model.depth} is "
            f"{blocks:g} blocks; allowed are fractions that give a whole number of 1 to "
            f"{model.depth - 1}"
        )


def _check_parametrization(model: ModelConfig) -> None:
    name = model.parametrization
    if name == "sp":
        return
    if model.base_width is None:
        raise ConfigError(
            f"model.parametrization = {name!r} needs model.base_width, the width at "
            "which its learning rate is tuned"
        )
    _refuse(
        model,
        "parametrization",
        {"init": ("normal", "small")},
        "the others set the scales that it sets",
    )
    if name == "completep":
        if model.base_depth is None:
            raise ConfigError(
                "model.parametrization = 'completep' needs model.base_depth, the "
                "depth at which its learning rate is tuned"
            )
        _refuse(
            model,
            "parametrization",
            {
                "placement": ("pre", "peri", "normformer", "parallel"),
                "norm_scale": ("one",),
            },
            "it scales residual branches by depth itself, and a norm of the sum would undo it",
        )


def _refuse(model: ModelConfig, key: str, allowed: dict[str, Iterable[str]], why: str) -> None:
    """Refuse other values of some keys than those allowed beside `key`."""
    for other, values in allowed.items():
        if getattr(model, other) not in values:
            raise ConfigError(
                f"model.{other} = {getattr(model, other)!r} clashes with model.{key} = "
                f"{getattr(model, key)!r}: {why}; allowed beside it: {', '.join(values)}"
            )
