"""Configuration of a launch: backend, workers, packs, budget, and requests to SLURM."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_0, AT_LEAST_1, Within, setting
from scalinglab.scaling.read_options import check_ranges, from_dict
from scalinglab.scaling.records.failures import FailureClass
from scalinglab.scaling.text.conditions import ConditionError, parse
from scalinglab.scaling.text.shell import has_control_characters

BACKENDS = ("inline", "local", "slurm")
DEFAULT_CLASS = "default"
# Where step times are measured. target: in one short job on the cluster; auto: there if runs need
# GPUs of its nodes, else on this machine; off: nowhere, the time of a run stays unknown.
MEASURE = ("auto", "here", "target", "off")
PACKS_OFF = ("off", False)


@dataclass(frozen=True)
class SlurmConfig:
    """The requests of one job to SLURM; None: the cluster's default.

    ``python`` is the command that runs Python, as in ``apptainer exec --nv image.sif python``;
    ``setup`` holds lines of shell to run before it, ``extra`` any other options of sbatch.
    """

    minutes: int = setting(60, AT_LEAST_1)
    signal_seconds: int = setting(120, Within(10))  # SLURM's warning comes so long before the limit
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    nodes: int = setting(1, AT_LEAST_1)
    gpus: int = setting(0, AT_LEAST_0)  # a node
    cpus: int | None = setting(None, AT_LEAST_1)  # a task
    memory_gb: float | None = setting(None, ABOVE_0)  # a node
    python: str | None = None
    setup: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LaunchBudget:
    """The most that a launch may cost, else it is refused; None: no limit."""

    device_hours: float | None = setting(None, AT_LEAST_0)  # GPU hours, or core hours on a CPU
    disk_gb: float | None = setting(None, AT_LEAST_0)  # all files below outputs


@dataclass(frozen=True)
class LaunchConfig:
    """Where runs happen, and how many at once.

    ``pack`` is the number of packable runs that train as one stacked model.

    ``workers`` None: one per GPU or core here, as many as the work needs on SLURM. ``classes`` are
    named groups of runs that need other resources: ``where`` (a selection) and any keys of
    ``slurm``. A run belongs to the first class that matches.
    """

    backend: str = setting("local", BACKENDS)
    workers: int | None = setting(None, AT_LEAST_1)
    workers_a_gpu: int = setting(1, AT_LEAST_1)
    pack: Any = "auto"  # or "off", or how many; YAML reads a bare off as False
    runs: str | None = None
    canary: int = setting(0, AT_LEAST_0)
    watch: bool = True
    detach: bool = False
    idle_seconds: float | None = setting(None, AT_LEAST_0)
    poll_seconds: float = setting(0.5, AT_LEAST_0)
    rate: float | None = setting(None, AT_LEAST_0)  # money a device-hour
    measure: str = setting("auto", MEASURE)  # where steps are timed
    measure_seconds: float = setting(900.0, ABOVE_0)
    budget: LaunchBudget = field(default_factory=LaunchBudget)
    slurm: SlurmConfig = field(default_factory=SlurmConfig)
    classes: dict[str, Any] = field(default_factory=dict)


def check_launch(config: LaunchConfig) -> None:
    """Raise `ConfigError` if a value is not allowed, or two values contradict each other."""
    check_ranges(config, "launch")
    _check_pack(config.pack)
    if config.measure == "target" and config.backend != "slurm":
        raise ConfigError(
            f"launch.measure = target: launch.backend = {config.backend} runs here; allowed are "
            "auto, here and off"
        )
    if config.runs is not None:
        check_selection("launch.runs", config.runs)
    if config.detach and config.backend == "inline":
        raise ConfigError("launch.detach = true: not with launch.backend = inline; use local")
    for name, group in config.classes.items():
        if not isinstance(group, dict) or "where" not in group:
            raise ConfigError(f"launch.classes.{name} = {group!r}: expected a group with 'where'")
        try:
            parse(str(group["where"]))
        except ConditionError as error:
            raise ConfigError(f"launch.classes.{name}.where = {error}") from None
    for name in (DEFAULT_CLASS, *config.classes):
        _check_slurm(name, resources(config, name))


def _check_pack(pack: Any) -> None:
    is_count = isinstance(pack, int) and not isinstance(pack, bool) and pack >= 1
    if not is_count and pack is not False and pack not in ("auto", "off"):
        raise ConfigError(f"launch.pack = {pack!r}: allowed are auto, off and a number, 1 or more")


def _check_slurm(name: str, slurm: SlurmConfig) -> None:
    where = group_of(name)
    for key, value in (asdict(slurm) | slurm.extra).items():
        if key != "setup" and has_control_characters(f"{key}{value}"):
            raise ConfigError(
                f"{where}.{key} = {value!r} has a line break or another control"
                " character; allowed are those that stand in one line"
            )
    if slurm.signal_seconds >= slurm.minutes * 60:
        raise ConfigError(
            f"{where}.signal_seconds = {slurm.signal_seconds}: allowed is less than the limit of "
            f"{slurm.minutes} minutes"
        )


def group_of(name: str) -> str:
    """The configuration group that holds the resources of a class of jobs."""
    return "launch.slurm" if name == DEFAULT_CLASS else f"launch.classes.{name}"


def resources(config: LaunchConfig, name: str) -> SlurmConfig:
    """The resources of a class of jobs."""
    changes = {k: v for k, v in config.classes.get(name, {}).items() if k != "where"}
    slurm: SlurmConfig = from_dict(SlurmConfig, asdict(config.slurm) | changes, group_of(name))
    return slurm


def check_selection(path: str, text: str) -> None:
    """Raise `ConfigError` if a selection cannot be parsed; its names are checked with the runs."""
    if not is_word(text.strip()):
        try:
            parse(text)
        except ConditionError as error:
            raise ConfigError(f"{path} = {error}") from None


def is_word(text: str) -> bool:
    """Whether a selection is a state, a class or an id, no condition."""
    return text.isalnum() or text in tuple(FailureClass)
