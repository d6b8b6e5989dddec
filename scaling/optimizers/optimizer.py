"""The description that every optimizer gives, and its keys in a run's science.

To add one, write a file here with a class of its keys, and one in the room of the updates
(``scalinglab.scaling.engine.optimizers``) with its arithmetic; both register under one name.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, make_dataclass
from typing import Any, ClassVar

from scalinglab.scaling.fields import (
    ABOVE_0,
    AT_LEAST_0,
    defaults,
    historic_values,
    keys_of,
    setting,
)
from scalinglab.scaling.read_options import check_ranges
from scalinglab.scaling.registry import Registry, subclass_of

# Roles of tensors (``scalinglab.scaling.model.parametrization``).
MATRICES = ("embedding", "hidden", "router", "head")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """The keys of every optimizer; each has a class of its own, by the name.

    Attributes
    ----------
    name : str
        Which optimizer.
    lr : float or None
        Peak learning rate; None: by the rule. Never a part of the optimizer's science: the
        schedule says it at every step.
    weight_decay : float or None
        None: by the rule.
    clip : float
        The largest gradient norm.
    """

    # What the size of its updates depends on: how a parametrization scales its rates
    # (``scalinglab.scaling.model.parametrization``). None: no rule is known, so only ``sp`` works.
    update_family: ClassVar[str | None] = None
    # Roles of the tensors that it looks at whole. Of all others it updates each weight by itself,
    # but for norms over all.
    whole: ClassVar[tuple[str, ...]] = ()
    # Floats of moments for each weight of hidden matrices, and for each of the rest.
    moment_floats: ClassVar[tuple[float, float]]
    # Floats that an update takes in passing, for each weight. Measured on shapes whose weights are
    # mostly in the blocks.
    update_floats: ClassVar[float]
    # Values to try where a search is given none: dotted key -> values. Factors of two in the LR (of
    # three in the decay) around what its paper used, at laptop scale.
    search_space: ClassVar[Mapping[str, Sequence[float]]] = {}

    choices: ClassVar[Registry[type[OptimizerConfig]]] = Registry(
        "optimizer.name", __package__, makes_numbers=True
    )
    chooser: ClassVar[str] = "name"

    name: str = "adamw"
    lr: float | None = setting(None, ABOVE_0)
    weight_decay: float | None = setting(0.1, AT_LEAST_0)
    clip: float = setting(1.0, ABOVE_0)

    @property
    def family(self) -> str | None:
        """`update_family` with these settings."""
        return self.update_family

    @property
    def takes_adamw_lr(self) -> bool:
        """Whether learning rates that suit AdamW, as those of rules do, suit it as well."""
        return False


OPTIMIZERS = OptimizerConfig.choices
OPTIMIZERS.wants(subclass_of(OptimizerConfig, "moment_floats", "update_floats"))


def optimizer_science(config: OptimizerConfig) -> dict[str, Any]:
    """Name and settings of an optimizer, all determined: its part of a run's identity.

    Raises
    ------
    ConfigError
        If a value, maybe a rule's, is out of its range.
    """
    check_ranges(config, "optimizer")
    # Left out here, too: a program that has not imported an extension can still tell the id.
    historic = historic_values(type(config))
    return {
        key: value
        for key, value in vars(config).items()
        if key != "lr" and not (key in historic and value == historic[key])
    }


def member_settings(name: str, settings: Mapping[str, Any]) -> OptimizerConfig:
    """An optimizer by its name, with the settings that a run has stored."""
    return OPTIMIZERS[name](name=name, **settings)


def common_name(settings: Sequence[OptimizerConfig]) -> str:
    """The optimizer whose settings the members of a pack bring.

    Raises
    ------
    ValueError
        If they bring settings of several.
    """
    names = sorted({s.name for s in settings})
    if len(names) > 1:
        raise ValueError(f"optimizer.name = {', '.join(names)}: the members of a pack must agree")
    return names[0]


@functools.cache
def program_optimizer() -> type:
    """The keys of the optimizer of another program, which gives them their meaning.

    Any name is allowed, and every key of a registered optimizer, with its type and without a range.
    Defaults are those of the default optimizer.
    """
    default = OPTIMIZERS[OptimizerConfig.name]
    hints: dict[str, Any] = {}
    for kind in (default, *OPTIMIZERS.values()):
        kind_hints = typing.get_type_hints(kind)
        hints = {key: kind_hints[key] for key in keys_of(kind)} | hints
    default_values = defaults(default)
    return make_dataclass(
        "ProgramOptimizerConfig",
        [
            (key, hint, default_values[key]) if key in default_values else (key, hint | None, None)
            for key, hint in hints.items()
        ],
        frozen=True,
    )


def program_science(config: Any) -> dict[str, Any]:
    """The part of the identity of a `program_optimizer`: all that is given or has a default."""
    return {k: v for k, v in vars(config).items() if k != "lr" and v is not None}
