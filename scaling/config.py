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
    """A power law in N, D, the batch in tokens and the LR; see `scalinglab.scaling.run.rules`."""

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
    base: float | None = None  # to the power of the power law: for beta2


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
        """Read the old form, in which the keys of the only rule, the LR's, had no group."""
        lr_rule = {k: v for k, v in values.items() if k in RuleConfig.__dataclass_fields__}
        rules = {k: v for k, v in values.items() if k not in lr_rule}
        return {"lr": lr_rule, **rules} if lr_rule else values


@dataclass(frozen=True)
class TrainerConfig:
    """The trainer: the engine, or any program with the contract of docs/trainers.md."""

    kind: str = setting("engine", TRAINERS)
    program: str | None = None  # kind = command: the program's name, which is science
    options: dict[str, Any] = field(default_factory=dict)  # options of the program


@dataclass(frozen=True)
class InitFromConfig:
    """Initial weights from another run or from a file, instead of drawn ones.

    Attributes
    ----------
    run : str or None
        The source run, by its id or the beginning of it.
    study, block : str or None
        Instead of `run`: the run of the same model in a study, or in a block; a block without a
        study belongs to this study.
    runs : str or None
        A selection among them, if several have the model.
    file : str or None
        A file of safetensors, or a folder of them.
    step : int or None
        The step of the checkpoint; None: the last.
    names : mapping
        Name of a source tensor, or a regular expression -> the parameter's name; empty: unused.
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
        """Whether a source is set."""
        return any(value for value in vars(self).values())


@dataclass(frozen=True)
class ExecutionConfig:
    """Execution of a run. Never part of its identity."""

    engine: str = "auto"
    device: str = "cpu"
    threads: int = setting(1, AT_LEAST_1)
    processes: int = setting(1, AT_LEAST_1)  # processes that share each batch of a run
    shard: bool = False  # each process holds a part of weights, gradients, moments (FSDP2)
    # Sequences at once in a process; None: its whole batch.
    micro_batch: int | None = setting(None, AT_LEAST_1)
    # Tokens whose logits exist at once; None: all.
    loss_chunk: int | None = setting(None, AT_LEAST_1)
    recompute: bool = False  # keep only the blocks' inputs for the backward pass
    deterministic: bool = False  # equal bits in every attempt, on a GPU, too
    measure: list[str] = field(default_factory=list)  # at validations: docs/measurements.md
    validate: list[str] = field(default_factory=list)  # further validation sets: names of stores
    command: list[str] = field(default_factory=list)  # the command that starts trainer.program
    keep_slurm: bool = False  # pass the variables of the SLURM step to that command
    checkpoint_seconds: float = setting(30.0, ABOVE_0)  # at least; more if saving takes long
    lease_seconds: float = setting(60.0, ABOVE_0)
    # A training without progress for so long is retried.
    hang_seconds: float = setting(3600.0, ABOVE_0)


@dataclass(frozen=True)
class RunConfig:
    """The configuration of one training."""

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
        """The batch, after its rule has been applied."""
        assert self.batch is not None
        return self.batch

    @classmethod
    def classes(cls, values: Mapping[str, Any]) -> dict[str, type]:
        """The classes of keys whose class depends on other keys.

        The optimizer of a program is not checked: its meaning is the program's.
        """
        trainer = values.get("trainer")
        command = isinstance(trainer, Mapping) and trainer.get("kind") == "command"
        model: dict[str, type] = {"model": model_class(values.get("model"))}
        return model | ({"optimizer": program_optimizer()} if command else {})
