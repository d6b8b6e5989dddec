"""A launch, written down before anything of it starts: its workers read what to do from it.

<outputs>/studies/<name>/launches/<token>/
    launch.json        when, which runs, how; again when the launch is given again
    cancelled          a person wants it to end
    submit-000.json    workers that SLURM was asked for: before sbatch, and again with the job
    worker-0.log       what a worker of the pool says
    slurm/             what submitit and SLURM write
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import ConfigError, from_dict, one_of, unknown_key
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import read_json, server_time, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, tell
from scalinglab.scaling.records.machine import Process
from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.conditions import ConditionError, parse
from scalinglab.scaling.text.shell import has_control_characters
from scalinglab.sweeps.plan.plan import study_folder
from scalinglab.sweeps.store.select import check_selection, facts, that_meet
from scalinglab.sweeps.store.state import StoredPlan, StoredRun, read_plan

_LAUNCH: Shape = {
    "launched": (int, float),
    "config": dict,
    "classes": dict,
    "code": str,
    "launcher": (dict, type(None)),
}
BACKENDS = ("inline", "local", "slurm")
DEFAULT_CLASS = "default"
# auto: on the cluster where runs need GPUs of its nodes, else here. On the cluster (target) a short
# job times them, once; off: what a run takes is not known.
MEASURE = ("auto", "here", "target", "off")
PACKS_OFF = ("off", False)


@dataclass(frozen=True)
class SlurmConfig:
    """What one job asks SLURM for; None leaves it to the cluster's default.

    ``python`` is the command that runs Python, as in ``apptainer exec --nv image.sif python``;
    ``setup`` are lines of shell before it; ``extra`` any other option of sbatch.
    """

    minutes: int = 60
    signal_seconds: int = 120  # how long before the limit SLURM warns
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    exclude: str | None = None
    nodes: int = 1
    gpus: int = 0  # of each node
    cpus: int | None = None  # of each task
    memory_gb: float | None = None  # of each node
    python: str | None = None
    setup: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Budget:
    """What a launch may cost; None is no limit. One that would cost more is refused."""

    device_hours: float | None = None  # of GPUs, or of cores where there are none
    disk_gb: float | None = None  # of everything under outputs


@dataclass(frozen=True)
class LaunchConfig:
    """Where runs happen, and how many at once.

    ``pack`` is how many runs that differ in numbers only train as one stacked model.

    ``workers`` None means one a GPU or core here, and as many as are of use on SLURM. ``classes``
    are named groups of runs that need other resources: ``where`` (a selection) and any keys of
    ``slurm``; the first that matches counts.
    """

    backend: str = "local"
    workers: int | None = None
    workers_a_gpu: int = 1
    pack: Any = "auto"  # or "off", or how many; YAML reads a bare off as False
    runs: str | None = None
    canary: int = 0
    watch: bool = True
    detach: bool = False
    idle_seconds: float | None = None
    poll_seconds: float = 0.5
    rate: float | None = None  # money a device-hour
    measure: str = "auto"  # where steps are timed: MEASURE
    measure_seconds: float = 900.0
    budget: Budget = field(default_factory=Budget)
    slurm: SlurmConfig = field(default_factory=SlurmConfig)
    classes: dict[str, Any] = field(default_factory=dict)


def check_launch(config: LaunchConfig) -> None:
    """Raise `ConfigError` if the launch makes no sense."""
    one_of("launch.backend", config.backend, BACKENDS)
    _check_pack(config.pack)
    for key in ("workers", "workers_a_gpu"):
        value = getattr(config, key)
        if value is not None and value < 1:
            raise ConfigError(f"launch.{key} = {value}: allowed is 1 or more")
    if config.canary < 0:
        raise ConfigError(f"launch.canary = {config.canary}: allowed is 0 (none) or more")
    one_of("launch.measure", config.measure, MEASURE)
    if config.measure == "target" and config.backend != "slurm":
        raise ConfigError(
            f"launch.measure = target: launch.backend = {config.backend} runs here; allowed are "
            "auto, here and off"
        )
    if config.runs is not None:
        check_selection("launch.runs", config.runs)
    if config.detach and config.backend == "inline":
        raise ConfigError("launch.detach = true: not with launch.backend = inline; use local")
    for name in (DEFAULT_CLASS, *config.classes):
        _check_slurm(name, resources(config, name))
    for name, given in config.classes.items():
        if not isinstance(given, dict) or "where" not in given:
            raise ConfigError(f"launch.classes.{name} = {given!r}: expected a group with 'where'")
        try:
            parse(str(given["where"]))
        except ConditionError as error:
            raise ConfigError(f"launch.classes.{name}.where = {error}") from None


def _check_pack(pack: Any) -> None:
    is_count = isinstance(pack, int) and not isinstance(pack, bool) and pack >= 1
    if not is_count and pack is not False and pack not in ("auto", "off"):
        raise ConfigError(f"launch.pack = {pack!r}: allowed are auto, off and a number, 1 or more")


def pack_size(config: LaunchConfig, run: StoredRun) -> int:
    """How many runs are at most to train together with one of these."""
    if run.kind is None or config.pack in PACKS_OFF:
        return 1
    return run.pack if config.pack == "auto" else config.pack


def _check_slurm(name: str, slurm: SlurmConfig) -> None:
    where = group_of(name)
    if slurm.minutes < 1 or slurm.nodes < 1 or slurm.gpus < 0:
        raise ConfigError(
            f"{where}: minutes = {slurm.minutes}, nodes = {slurm.nodes}, gpus = {slurm.gpus}; "
            "allowed are 1 or more, 1 or more, 0 or more"
        )
    for key, value in (asdict(slurm) | slurm.extra).items():
        if key != "setup" and has_control_characters(f"{key}{value}"):
            raise ConfigError(
                f"{where}.{key} = {value!r} has a line break or another control"
                " character; allowed are those that stand in one line"
            )
    if not 10 <= slurm.signal_seconds < slurm.minutes * 60:
        raise ConfigError(
            f"{where}.signal_seconds = {slurm.signal_seconds}: allowed is 10 or more, and less "
            f"than the limit of {slurm.minutes} minutes"
        )


def group_of(name: str) -> str:
    """The group of the configuration in which what a class of jobs asks for stands."""
    return "launch.slurm" if name == DEFAULT_CLASS else f"launch.classes.{name}"


def resources(config: LaunchConfig, name: str) -> SlurmConfig:
    """What the jobs of a class ask for."""
    own = {k: v for k, v in config.classes.get(name, {}).items() if k != "where"}
    slurm: SlurmConfig = from_dict(
        SlurmConfig, asdict(config.slurm) | own, f"launch.classes.{name}"
    )
    return slurm


@dataclass(frozen=True)
class Launch:
    """One stored launch.

    Attributes
    ----------
    folder : Path
        See above; its name is the token.
    launched : float
        When, by the file server's clock: what failed before is tried again.
    config : LaunchConfig
        How.
    classes : dict
        run_id -> class, of the runs that it trains.
    code : str
        Folder of the code that its workers run.
    """

    folder: Path
    launched: float
    config: LaunchConfig
    classes: dict[str, str]
    code: str

    @property
    def token(self) -> str:
        """Its name; the jobs of SLURM are named after it."""
        return self.folder.name

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.folder.parent.parent.name

    @property
    def outputs(self) -> Path:
        """The folder that holds everything."""
        return self.folder.parents[3]

    @property
    def plan_file(self) -> Path:
        """Where the study's plan is stored."""
        return study_folder(self.outputs, self.study) / "plan.json"

    def plan(self) -> StoredPlan:
        """The study's stored plan."""
        return read_plan(self.outputs, self.study)

    def is_cancelled(self) -> bool:
        """Whether a person wants it to end."""
        return (self.folder / "cancelled").exists()


def classify_runs(config: LaunchConfig, runs: list[StoredRun]) -> dict[str, str]:
    """run_id -> name of the resource class; there is only one where all workers are alike.

    Raises
    ------
    ConfigError
        If a ``where`` names what a run has not.
    """
    if not config.classes or config.backend != "slurm":
        return {r.folder.run_id: DEFAULT_CLASS for r in runs}
    known = [facts(run, State.PLANNED) for run in runs]
    found: dict[str, str] = {}
    for name, given in config.classes.items():
        try:
            chosen = that_meet(known, parse(str(given["where"])))
        except ConditionError as error:
            raise ConfigError(f"launch.classes.{name}.where = {error}") from None
        for run, meets in zip(runs, chosen, strict=True):
            if meets:
                found.setdefault(run.folder.run_id, name)
    return {r.folder.run_id: found.get(r.folder.run_id, DEFAULT_CLASS) for r in runs}


def new_launch(
    outputs: Path, study: str, config: LaunchConfig, runs: list[StoredRun], code: Path
) -> Launch:
    """A launch of some runs, not yet stored; nothing has started by then."""
    folder = launches_folder(outputs, study) / secrets.token_hex(4)
    classes = classify_runs(config, runs)
    return Launch(folder, server_time(outputs), config, classes, str(code))


def store_launch(launch: Launch, *, returned: bool = False) -> None:
    """Write a launch down; its workers read it again before each run.

    Once the launcher has `returned`, the launch has none: the process may be a notebook's and live
    on, and whoever cancels the launch must not end it.
    """
    write_json(
        launch.folder / "launch.json",
        {
            "launched": launch.launched,
            "config": asdict(launch.config),
            "classes": launch.classes,
            "code": launch.code,
            "launcher": None if returned else machine.this_process().to_dict(),
        },
    )


def read_launch(folder: Path) -> Launch:
    """Read a stored launch.

    Raises
    ------
    DamagedFile
        If it cannot be read.
    """
    stored = read_json(folder / "launch.json", _LAUNCH)
    config = from_dict(LaunchConfig, stored["config"], "launch")
    return Launch(folder, stored["launched"], config, stored["classes"], stored["code"])


def launcher_of(folder: Path) -> Process | None:
    """The process that stored a launch; None if it has returned.

    Raises
    ------
    DamagedFile
        If the launch cannot be read.
    """
    launcher = read_json(folder / "launch.json", _LAUNCH)["launcher"]
    return None if launcher is None else Process.from_dict(launcher)


def launched_by(outputs: Path, study: str, pid: int) -> bool:
    """Whether a process of this host has stored a launch of a study, and has not returned."""
    process = (machine.host(), pid, machine.process_start(pid))
    launchers = (
        launcher_of(file.parent) for file in launches_folder(outputs, study).glob("*/launch.json")
    )
    return process in [(one.host, one.pid, one.process_start) for one in launchers if one]


def read_launches(outputs: Path, study: str) -> list[Launch]:
    """All launches of a study, the earliest first; of those that are damaged is told."""
    found = []
    for file in launches_folder(outputs, study).glob("*/launch.json"):
        try:
            found.append(read_launch(file.parent))
        except DamagedFile as error:
            tell(error, "its launch is left out")
    return sorted(found, key=lambda launch: launch.launched)


def launches_folder(outputs: Path, study: str) -> Path:
    """Where the launches of a study lie."""
    return study_folder(outputs, study) / "launches"


def find_launch(outputs: Path, study: str, token: str) -> Launch:
    """A launch by its token.

    Raises
    ------
    ConfigError
        If the study has no such launch.
    """
    known = {launch.token: launch for launch in read_launches(outputs, study)}
    if token not in known:
        raise ConfigError(unknown_key(token, known))
    return known[token]
