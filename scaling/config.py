"""The typed configuration of one run, and the one place where a plain dictionary becomes it.

Hydra composes YAML to a plain dictionary (``scalinglab.compose``); ``from_dict`` turns that into
frozen dataclasses and refuses what it does not know. After that line the program sees typed
values only. What the values mean together is checked in ``scalinglab.scaling.run.resolve``.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import re
import sys
import types
import typing
from dataclasses import dataclass, field
from typing import Any

_STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LARGEST = sys.float_info.max
_SCALARS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


class ConfigError(ValueError):
    """A mistake in a configuration: names the key, the value and what is allowed."""


@dataclass(frozen=True)
class ModelConfig:
    """The shape dial: depth gives the width, width gives the heads; each can be set by hand."""

    depth: int = 2
    width: int | None = None  # None: aspect * depth
    heads: int | None = None  # None: width / head_dim
    aspect: int = 64
    head_dim: int = 16
    mlp_ratio: int = 4
    mlp_width: int | None = None  # None: mlp_ratio * width, two thirds of it if gated
    context: int = 128  # tokens in one sequence
    rope_base: float = 10_000.0
    activation: str = "relu2"
    norm: str = "rmsnorm"
    placement: str = "pre"
    post_fraction: float = 0.25  # of the blocks, from the first; mix only
    norm_scale: str = "one"
    qk_norm: bool = True
    embedding_scale: str = "one"
    init: str = "normal"
    logit_softcap: float | None = None
    tied_head: bool = False
    bias: bool = False
    parametrization: str = "sp"
    base_width: int | None = None  # where hyper-parameters were tuned
    base_depth: int | None = None
    base_head_dim: int | None = None  # None: the model's own
    depth_exponent: float = 1.0  # completep only
    decay_rule: str = "product"


@dataclass(frozen=True)
class DataConfig:
    """A token source, what is cut off for validation, and how often a token may be seen."""

    source: str = "stdlib"
    options: dict[str, Any] = field(default_factory=dict)  # the source's own
    validation_tokens: int = 65_536
    unique_tokens: int | None = None  # None: the whole training part
    max_epochs: float = 1.0
    seed: int | None = None  # of the order; None: the run's seed


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer by name; ``lr``, ``beta2``, ``weight_decay`` None: a rule gives it.

    Which keys an optimizer uses, and what None means in them, stands in
    ``scalinglab.scaling.optimizers.settings``.
    """

    name: str = "adamw"
    lr: float | None = None
    beta1: float = 0.9
    beta2: float | None = 0.95
    epsilon: float = 1e-8
    weight_decay: float | None = 0.1
    clip: float = 1.0
    momentum: float | None = None
    nesterov: bool | None = None
    orthogonal_steps: int | None = None
    adjust_lr: str | None = None
    adamw_lr: float | None = None
    momentum_decay: float | None = None
    delta: float | None = None
    decay_ratio: float | None = None
    average_power: float | None = None
    beta2_decay: float | None = None
    scale_floor: float | None = None
    update_clip: float | None = None
    refresh_steps: int | None = None


@dataclass(frozen=True)
class RuleConfig:
    """A smooth power of N, D, the batch in tokens and the LR (``scalinglab.scaling.run.rules.rule_value``)."""

    name: str
    source: str
    coefficient: float
    n_exponent: float = 0.0
    d_exponent: float = 0.0
    b_exponent: float = 0.0
    lr_exponent: float = 0.0
    n_unit: float = 1.0
    d_unit: float = 1.0
    b_unit: float = 1.0
    count: str = "n_matmul"
    base: float | None = None  # to the power of the rest: a beta2


@dataclass(frozen=True)
class RulesConfig:
    """The rule of each hyper-parameter that has one; the batch and the warm-up in tokens."""

    lr: RuleConfig | None = None
    batch: RuleConfig | None = None
    weight_decay: RuleConfig | None = None
    warmup: RuleConfig | None = None
    beta2: RuleConfig | None = None

    @classmethod
    def older(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A rule by itself is that of the LR: so it was written when no other had one."""
        alone = {k: v for k, v in values.items() if k in RuleConfig.__dataclass_fields__}
        rest = {k: v for k, v in values.items() if k not in alone}
        return {"lr": alone, **rest} if alone else values


@dataclass(frozen=True)
class PieceConfig:
    """One piece of a free schedule: tokens or a fraction of the run; rates over the peak LR."""

    shape: str = "constant"
    tokens: int | None = None
    fraction: float | None = None  # neither: what the others leave
    start: float | None = None  # None: where the piece before ended
    end: float | None = None  # None: as it starts


@dataclass(frozen=True)
class ScheduleConfig:
    """LR against step, of one of the kinds in ``scalinglab.scaling.schedule.kinds``.

    Keys that a kind does not use change nothing: ``conf/schedule`` has a file for each kind with
    those that it does.
    """

    kind: str = "wsd"
    warmup_tokens: int | None = (
        None  # None: by the rule, else scalinglab.scaling.schedule.kinds.default_warmup
    )
    cooldown_fraction: float = 0.2  # of the whole run
    cooldown_shape: str = "linear"
    final_ratio: float = 0.0  # last LR over peak
    milestones: list[float] = field(default_factory=lambda: [0.8, 0.9])  # fractions of the run
    factor: float = 0.316227766  # multistep: LR after a milestone over that before it
    timescale_tokens: int | None = None  # inverse_sqrt: at the peak until then; None: warm-up
    coefficient: float | None = None  # power: LR = coefficient * tokens^-exponent below the peak
    exponent: float = 0.51
    cool_tokens: int = 0  # infinite: from the peak to hold_ratio of it
    cool_shape: str = "cosine"
    hold_ratio: float = 0.5
    cycles: int = 4  # cyclic
    rewarm_tokens: int = 0  # cyclic and rewarm: back to the peak
    before: dict[str, Any] = field(default_factory=dict)  # rewarm: a schedule and its tokens
    pieces: list[PieceConfig] = field(default_factory=list)
    path: str | None = None  # file


@dataclass(frozen=True)
class TrainerConfig:
    """Who trains: our engine, or any program that keeps the contract of docs/trainers.md."""

    kind: str = "engine"
    program: str | None = None  # command only: its name, as another program makes other numbers
    options: dict[str, Any] = field(default_factory=dict)  # the program's own


@dataclass(frozen=True)
class ExecutionConfig:
    """How a run is executed. Never part of its identity."""

    engine: str = "auto"
    device: str = "cpu"
    threads: int = 1
    processes: int = 1  # that share each batch of a run
    shard: bool = False  # weights, gradients and moments in parts, one a process (FSDP2)
    micro_batch: int | None = None  # sequences at once in a process; None: its whole batch
    loss_chunk: int | None = None  # tokens whose logits exist at once; None: all
    recompute: bool = False  # keep only the blocks' inputs for the backward pass
    deterministic: bool = False  # the same bits each time, on a GPU too
    measure: list[str] = field(default_factory=list)  # at validations: docs/measurements.md
    validate: list[str] = field(default_factory=list)  # further validation sets: names of stores
    command: list[str] = field(default_factory=list)  # the line that starts trainer.program
    keep_slurm: bool = False  # show that command the variables of our own SLURM step
    checkpoint_seconds: float = 30.0  # at least; longer where saving takes long
    lease_seconds: float = 60.0
    hang_seconds: float = 3600.0  # a training that shows no progress for so long is tried again


@dataclass(frozen=True)
class RunConfig:
    """One training, as a person writes it down."""

    model: ModelConfig
    data: DataConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    tokens: int
    rule: RulesConfig | None = None
    batch: int | None = 16  # sequences a step; None: by the rule
    seed: int = 0  # of the initial weights
    precision: str = "fp32"
    z_loss: float = 0.0  # coefficient of the squared log-normaliser in the objective
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)


def from_dict(cls: type, values: Any, path: str = "") -> Any:
    """Build the dataclass `cls` from a plain dictionary, strictly.

    Parameters
    ----------
    cls : type
        A dataclass whose fields are numbers, strings, dictionaries or dataclasses.
    values : dict
        Plain values. Whole floats are accepted for integers (``tokens=1e6``).
    path : str
        The dotted key under which `values` stands, for messages.

    Raises
    ------
    ConfigError
        On an unknown or missing key, or a value of the wrong type.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{path or cls.__name__} = {values!r}: expected a group of keys")
    values = cls.older(values) if hasattr(cls, "older") else values
    hints = _hints(cls)
    for key in values:
        if key not in hints:
            raise ConfigError(unknown_key(_join(path, key), hints))
    arguments = {}
    for name, (hint, optional) in hints.items():
        if name in values:
            value = values[name]
            unset = optional and value is None
            arguments[name] = None if unset else _convert(hint, value, _join(path, name))
        elif name in _required(cls):
            raise ConfigError(f"missing key '{_join(path, name)}'")
    return cls(**arguments)


@functools.cache
def _hints(cls: type) -> dict[str, tuple[Any, bool]]:
    """The type of each field but for None, and whether it may be None."""
    hints = typing.get_type_hints(cls)
    fields = {f.name: hints[f.name] for f in dataclasses.fields(cls)}
    return {
        name: (typing.get_args(hint)[0], True)
        if isinstance(hint, types.UnionType)
        else (hint, False)
        for name, hint in fields.items()
    }


@functools.cache
def _required(cls: type) -> set[str]:
    """The fields that have no default."""
    missing = dataclasses.MISSING
    return {
        f.name
        for f in dataclasses.fields(cls)
        if f.default is missing and f.default_factory is missing
    }


def unknown_key(path: str, allowed: typing.Iterable[str]) -> str:
    """The sentence for a key that does not exist, with the nearest ones that do."""
    parent, _, key = path.rpartition(".")
    allowed = sorted(allowed)
    if not allowed:
        return f"unknown key '{path}': there are no keys in {parent}"
    near = (
        difflib.get_close_matches(key.lower(), allowed, n=1)
        or difflib.get_close_matches(key, allowed, n=1)
        or [name for name in allowed if key and name.startswith(key)]
    )
    hint = f"; did you mean '{_join(parent, near[0])}'?" if near else "."
    return f"unknown key '{path}'{hint} Allowed here: {', '.join(allowed)}"


def is_study_name(name: str) -> bool:
    """Whether a name can be that of a study, and so of its folder."""
    return _STUDY_NAME.fullmatch(name) is not None


def check_study_name(path: str, name: str) -> None:
    """Raise `ConfigError` unless a study's name can be a folder's and stand in any command."""
    if not is_study_name(name):
        raise ConfigError(
            f"{path} = {name!r} names a folder: a study's name has letters, digits,"
            " '.', '_' and '-', and begins with a letter or digit"
        )


def one_of(path: str, value: str, allowed: typing.Iterable[str]) -> None:
    """Raise `ConfigError` unless `value` is among `allowed`."""
    allowed = list(allowed)
    if value not in allowed:
        raise ConfigError(f"{path} = {value!r} is not one of: {', '.join(allowed)}")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)


def _convert(hint: Any, value: Any, path: str) -> Any:
    if hint in _SCALARS:
        return _scalar(hint, value, path)
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, path)
    if typing.get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise ConfigError(f"{path} = {value!r}: expected a group of keys")
        return dict(value)
    if not isinstance(value, list):
        raise ConfigError(f"{path} = {value!r}: expected a list")
    inner = typing.get_args(hint)[0]
    return [_convert(inner, v, f"{path}[{i}]") for i, v in enumerate(value)]


def _scalar(hint: Any, value: Any, path: str) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and isinstance(value, int) and abs(value) > _LARGEST:
        value = math.inf if value > 0 else -math.inf  # as a float of so many digits is
    if hint is int and number and math.isfinite(value) and float(value).is_integer():
        if abs(value) >= 2**63:  # tokens, sizes and seeds are 64-bit numbers further on
            raise ConfigError(f"{path} = {value!r}: expected a whole number below 2^63")
        return int(value)
    if hint is float and number and math.isfinite(value):
        return float(value)
    if hint in (bool, str) and isinstance(value, hint):
        return value
    if number and not math.isfinite(value):
        raise ConfigError(f"{path} = {value!r}: expected a finite number")
    raise ConfigError(f"{path} = {value!r}: expected {_SCALARS[hint]}")
