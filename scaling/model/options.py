"""The keys of the model as a person writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, defaults, setting
from scalinglab.scaling.model.architecture import DECAY_RULES, PARAMETRIZATIONS, NetworkOptions
from scalinglab.scaling.model.part import SLOTS


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Options of every network.

    Attributes
    ----------
    context : int
        Tokens in one sequence.
    parametrization, decay_rule : str
        How rates and weight decay follow the shape.
    """

    context: int = setting(128, AT_LEAST_1)
    parametrization: str = setting("sp", PARAMETRIZATIONS)
    decay_rule: str = setting("product", DECAY_RULES)


@dataclass(frozen=True, kw_only=True)
class ModuleConfig(NetworkConfig):
    """A network of anybody's.

    Attributes
    ----------
    target : str
        The name under which a file registers it, or an import path: ``mine.MyNet``.
    options : dict
        Keywords of its constructor, beside the vocabulary and the context.
    base_options : dict
        Options at the base of ``mup``: those that make it wider, where the LR was tuned.
    roles : dict
        Pattern of parameter names -> role, where it is not guessed right.
    """

    target: str
    options: dict[str, Any] = setting({})
    parametrization: str = setting("sp", ("sp", "mup"))
    base_options: dict[str, Any] = setting({}, used_with=("parametrization", ("mup",)))
    decay_rule: str = setting("product", DECAY_RULES, used_with=("parametrization", ("mup",)))
    roles: dict[str, str] = setting({})

    @classmethod
    def older(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The keys as they are; ``completep``, which scales branches of blocks, is refused here."""
        if values.get("parametrization") == "completep":
            raise ConfigError(
                "model.parametrization = 'completep' clashes with model.target: it scales the "
                "branches of the shipped network's blocks by depth; allowed are sp, mup"
            )
        return values


@dataclass(frozen=True, kw_only=True)
class ModelConfig(NetworkOptions, NetworkConfig):
    """The shape dial: depth gives the width, width gives the heads; each can be set by hand.

    Attributes
    ----------
    depth : int
        Blocks.
    width : int or None
        None: aspect * depth.
    heads : int or None
        None: width / head_dim.
    aspect, head_dim, mlp_ratio : int
        Of the dial.
    mlp_width : int or None
        None: mlp_ratio * width, two thirds of it if gated.
    context : int
        Tokens in one sequence.
    """

    depth: int = setting(2, AT_LEAST_1)
    width: int | None = setting(None, AT_LEAST_1)
    heads: int | None = None
    aspect: int = setting(64, AT_LEAST_1)
    head_dim: int = setting(16, AT_LEAST_1)
    mlp_ratio: int = setting(4, AT_LEAST_1)
    mlp_width: int | None = setting(None, AT_LEAST_1)
    context: int = setting(128, AT_LEAST_1)
    # A quarter, unlike an architecture's, which has none where no placement asks for it.
    post_fraction: float = setting(0.25, ABOVE_0, used_with=("placement", ("mix",)))


def named_slots() -> tuple[str, ...]:
    """The slots that have a name alone where their part has no keys, or all at defaults."""
    return tuple(slot for slot in SLOTS if isinstance(defaults(ModelConfig)[slot], str))


def model_class(model: Mapping[str, Any] | None) -> type[NetworkConfig]:
    """The class of some keys of a model: who names a target means that network."""
    return ModuleConfig if isinstance(model, Mapping) and "target" in model else ModelConfig
