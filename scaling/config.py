"""The typed configuration of one run.

Hydra composes YAML to a plain dictionary (``scalinglab.compose``); ``from_dict`` turns that into
frozen dataclasses and refuses what it does not know. After that line the program sees typed
values only. What the values mean together is checked in ``scalinglab.scaling.run.resolve``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_0, AT_LEAST_1, setting
from scalinglab.scaling.model.counts import N_COUNTS
from scalinglab.scaling.model.options import NetworkConfig, model_class
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig, program_optimizer
from scalinglab.scaling.schedule.schedule import ScheduleConfig

TRAINERS = ("engine", "command")


@dataclass(frozen=True)
class RuleConfig:
    """A smooth power of N, D, the batch in tokens and the LR (``scalinglab.scaling.run.rules.rule_value``)."""

    name: str
    source: str
    coefficient: float = setting(allowed=ABOVE_0)
    n_exponent: float = 0.0
    d_exponent: float = 0.0
    b_exponent: float = 0.0
    lr_exponent: float = 0.0
    n_unit: float = setting(1.0, ABOVE_0)
    d_unit: float = setting(1.0, ABOVE_0)
    b_unit: float = setting(1.0, ABOVE_0)
    count: str = setting("n_matmul", N_COUNTS)
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
class TrainerConfig:
    """Who trains: our engine, or any program that keeps the contract of docs/trainers.md."""

    kind: str = setting("engine", TRAINERS)
    program: str | None = None  # command only: its name, as another program makes other numbers
    options: dict[str, Any] = field(default_factory=dict)  # the program's own


@dataclass(frozen=True)
class InitFromConfig:
    """The weights that a run begins with, where it does not draw them: of a run, or of a file.

    Attributes
    ----------
    run : str or None
        The run whose weights they are, by its id or the beginning of it.
    study, block : str or None
        In its place: the run of the same model in a study, or in a block of one; a block without
        a study is one of this study.
    runs : str or None
        A selection among those, where several have the model.
    file : str or None
        A file of safetensors, or a folder of them.
    step : int or None
        Of the run's checkpoint; None: its last.
    names : mapping
        Name of a tensor there, or a regular expression -> the parameter's name here; empty: it is
        left out.
    """

    run: str | None = None
    study: str | None = None
    block: str | None = None
    runs: str | None = None
    file: str | None = None
    step: int | None = setting(None, AT_LEAST_1)
    names: dict[str, str] = setting({})

    @property
    def is_asked(self) -> bool:
        """Whether a run begins with weights of another."""
        return any(value for value in vars(self).values())


@dataclass(frozen=True)
class ExecutionConfig:
    """How a run is executed. Never part of its identity."""

    engine: str = "auto"
    device: str = "cpu"
    threads: int = setting(1, AT_LEAST_1)
    processes: int = setting(1, AT_LEAST_1)  # that share each batch of a run
    shard: bool = False  # weights, gradients and moments in parts, one a process (FSDP2)
    micro_batch: int | None = setting(
        None, AT_LEAST_1
    )  # sequences at once in a process; None: its whole batch
    loss_chunk: int | None = setting(
        None, AT_LEAST_1
    )  # tokens whose logits exist at once; None: all
    recompute: bool = False  # keep only the blocks' inputs for the backward pass
    deterministic: bool = False  # the same bits each time, on a GPU too
    measure: list[str] = field(default_factory=list)  # at validations: docs/measurements.md
    validate: list[str] = field(default_factory=list)  # further validation sets: names of stores
    command: list[str] = field(default_factory=list)  # the line that starts trainer.program
    keep_slurm: bool = False  # show that command the variables of our own SLURM step
    checkpoint_seconds: float = setting(30.0, ABOVE_0)  # at least; longer where saving takes long
    lease_seconds: float = setting(60.0, ABOVE_0)
    # A training that shows no progress for so long is tried again.
    hang_seconds: float = setting(3600.0, ABOVE_0)


@dataclass(frozen=True)
class RunConfig:
    """One training, as a person writes it down."""

    model: NetworkConfig
    data: DataConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    tokens: int = setting(allowed=AT_LEAST_1)
    rule: RulesConfig | None = None
    batch: int | None = setting(16, AT_LEAST_1)  # sequences a step; None: by the rule
    seed: int = 0  # of the initial weights
    precision: str = "fp32"
    # Coefficient of the squared log-normaliser in the objective.
    z_loss: float = setting(0.0, AT_LEAST_0, historic=0.0)
    trainer: TrainerConfig = field(
        default_factory=TrainerConfig,
        metadata={"historic": {"kind": "engine", "program": None, "options": {}}},
    )
    init_from: InitFromConfig = field(default_factory=InitFromConfig, metadata={"historic": None})
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)

    @property
    def sequences(self) -> int:
        """The batch, once its rule has been applied if it has one."""
        assert self.batch is not None
        return self.batch

    @classmethod
    def classes(cls, values: Mapping[str, Any]) -> dict[str, type]:
        """The classes of keys whose class depends on other keys.

        What the optimizer of a program means is the program's to say.
        """
        trainer = values.get("trainer")
        command = isinstance(trainer, Mapping) and trainer.get("kind") == "command"
        model: dict[str, type] = {"model": model_class(values.get("model"))}
        return model | ({"optimizer": program_optimizer()} if command else {})
