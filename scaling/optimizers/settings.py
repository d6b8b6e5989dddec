"""The hyper-parameters of each optimizer: which keys it uses, their defaults and their ranges.

``SETTINGS`` names the optimizers; ``scalinglab.scaling.engine.optimizers.registry`` has the code of each. A run's
science holds the keys that its optimizer uses and no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from scalinglab.scaling.config import ConfigError, OptimizerConfig, one_of

MATRICES = ("embedding", "hidden", "head")  # roles of ``scalinglab.scaling.model.parametrization``
ADJUST_LR = ("original", "match_rms_adamw")  # as torch.optim.Muon names them


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every optimizer uses: `clip` is the largest gradient norm.

    `whole` has the roles of the tensors that an optimizer looks at whole. Of all others it updates
    each weight by itself, but for norms over all.
    """

    whole: ClassVar[tuple[str, ...]] = ()
    weight_decay: float
    clip: float


@dataclass(frozen=True, kw_only=True)
class AdamWSettings(Settings):
    """arXiv 1711.05101."""

    beta1: float
    beta2: float
    epsilon: float


@dataclass(frozen=True, kw_only=True)
class NAdamWSettings(AdamWSettings):
    """`momentum_decay`: how slowly the momentum grows to beta1 (Dozat 2016; torch's default)."""

    momentum_decay: float = 4e-3


@dataclass(frozen=True, kw_only=True)
class AdamPSettings(AdamWSettings):
    """arXiv 2006.08217: below a cosine of `delta` / sqrt(size) a tensor counts as scale-invariant,
    loses the radial part of its update, and `decay_ratio` of its weight decay remains."""

    whole: ClassVar[tuple[str, ...]] = MATRICES
    delta: float = 0.1
    decay_ratio: float = 0.1


@dataclass(frozen=True, kw_only=True)
class ScheduleFreeSettings(AdamWSettings):
    """arXiv 2405.15682; iterates count in the average by the largest LR to this power."""

    average_power: float = 2.0


@dataclass(frozen=True, kw_only=True)
class SGDSettings(Settings):
    """Momentum as in torch; its weight decay is coupled: added to the gradient."""

    momentum: float = 0.9
    nesterov: bool = False


@dataclass(frozen=True, kw_only=True)
class NormalizedSettings(Settings):
    """Normalised gradient descent with momentum (arXiv 2002.03305)."""

    momentum: float = 0.9


@dataclass(frozen=True, kw_only=True)
class LionSettings(Settings):
    """arXiv 2302.06675."""

    beta1: float
    beta2: float


@dataclass(frozen=True, kw_only=True)
class AdafactorSettings(Settings):
    """arXiv 1804.04235 as ``torch.optim.Adafactor``: 1 - step^`beta2_decay` is its beta2, updates
    are scaled by the size of the weights (at least `scale_floor`) and cut at rms `update_clip`."""

    whole: ClassVar[tuple[str, ...]] = (*MATRICES, "gain", "bias")
    beta2_decay: float = -0.8
    scale_floor: float = 1e-3
    update_clip: float = 1.0


@dataclass(frozen=True, kw_only=True)
class MuonSettings(AdamWSettings):
    """Muon (K. Jordan 2024; arXiv 2502.16982) for hidden matrices, AdamW for the rest at
    `adamw_lr` times the LR."""

    whole: ClassVar[tuple[str, ...]] = ("hidden",)
    momentum: float = 0.95
    nesterov: bool = True
    orthogonal_steps: int = 5
    adjust_lr: str = "original"
    adamw_lr: float = 1.0


@dataclass(frozen=True, kw_only=True)
class SOAPSettings(AdamWSettings):
    """arXiv 2409.11321 for hidden matrices, AdamW for the rest; the eigenbases are refreshed every
    `refresh_steps`."""

    whole: ClassVar[tuple[str, ...]] = ("hidden",)
    refresh_steps: int = 10


SETTINGS: Mapping[str, type[Settings]] = {
    "adamw": AdamWSettings,
    "sgd": SGDSettings,
    "lion": LionSettings,
    "muon": MuonSettings,
    "nadamw": NAdamWSettings,
    "adafactor": AdafactorSettings,
    "schedule_free": ScheduleFreeSettings,
    "soap": SOAPSettings,
    "adamp": AdamPSettings,
    "normalized": NormalizedSettings,
}

_UNIT = ("beta1", "beta2", "momentum")  # 0 up to, not including, 1
_ABOVE_ZERO = (
    "epsilon",
    "clip",
    "momentum_decay",
    "delta",
    "scale_floor",
    "update_clip",
    "adamw_lr",
    "orthogonal_steps",
    "refresh_steps",
)
_AT_LEAST_ZERO = ("weight_decay", "decay_ratio", "average_power")


def optimizer_science(config: OptimizerConfig) -> dict[str, Any]:
    """Name and settings of an optimizer, all determined: its part of a run's identity.

    Raises
    ------
    ConfigError
        If a value is out of its range, or a key is set that the optimizer does not use.
    """
    one_of("optimizer.name", config.name, SETTINGS)
    kind = SETTINGS[config.name]
    used = {f.name for f in fields(kind)}
    given = {k: v for k, v in vars(config).items() if k not in ("name", "lr")}
    unset = vars(OptimizerConfig())
    for key, value in given.items():
        if key not in used and value != unset[key]:
            raise ConfigError(
                f"optimizer.{key} = {value}: {config.name} does not use it; it uses "
                f"{', '.join(sorted(used))}"
            )
    settings = vars(kind(**{k: v for k, v in given.items() if k in used and v is not None}))
    _check(config.name, settings)
    return {"name": config.name, **settings}


def program_science(config: OptimizerConfig) -> dict[str, Any]:
    """The same for a program that is not ours: what its keys mean is the program's to say."""
    return {k: v for k, v in vars(config).items() if k != "lr" and v is not None}


def member_settings(name: str, settings: Mapping[str, Any]) -> Settings:
    """The settings of an optimizer from plain values."""
    return SETTINGS[name](**settings)


def default_settings(name: str) -> Settings:
    """The settings of an optimizer where nobody sets any."""
    science = optimizer_science(OptimizerConfig(name=name))
    return member_settings(science.pop("name"), science)


def optimizer_name(settings: Sequence[Settings]) -> str:
    """The optimizer whose settings the members of a pack bring.

    Raises
    ------
    ValueError
        If they bring settings of several.
    """
    kinds = {type(s) for s in settings}
    names = [name for name, kind in SETTINGS.items() if kind in kinds]
    if len(names) > 1:
        raise ValueError(f"optimizer.name = {', '.join(names)}: the members of a pack must agree")
    return names[0]


def rule_name(settings: Sequence[Settings]) -> str:
    """The optimizer whose rules of ``scalinglab.scaling.model.parametrization`` hold.

    Muon's, with updates of the rms of AdamW's (`adjust_lr` match_rms_adamw), are others.
    """
    name = optimizer_name(settings)
    matched = getattr(settings[0], "adjust_lr", "") == "match_rms_adamw"
    return "muon_match_rms" if matched else name


def _check(name: str, settings: dict[str, Any]) -> None:
    for key, value in settings.items():
        if key in _UNIT and not 0 <= value < 1:
            raise ConfigError(f"optimizer.{key} = {value}: allowed is 0 up to, not including, 1")
        if key in _ABOVE_ZERO and value <= 0:
            raise ConfigError(f"optimizer.{key} = {value}: allowed is above 0")
        if key in _AT_LEAST_ZERO and value < 0:
            raise ConfigError(f"optimizer.{key} = {value}: allowed is >= 0")
    if settings.get("beta2_decay", -1) >= 0:
        raise ConfigError(f"optimizer.beta2_decay = {settings['beta2_decay']}: allowed is below 0")
    if name == "schedule_free" and settings["beta1"] == 0:
        raise ConfigError("optimizer.beta1 = 0.0: schedule_free needs it above 0")
    if "adjust_lr" in settings:
        one_of("optimizer.adjust_lr", settings["adjust_lr"], ADJUST_LR)
