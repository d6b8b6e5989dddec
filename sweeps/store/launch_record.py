"""The record of a launch, stored before it starts anything: its workers read what to do.

<outputs>/studies/<name>/launches/<token>/
    launch.json        when, which runs, how; rewritten when the command is repeated
    cancelled          exists once the launch was cancelled
    submit-<token>.json  an array of workers: stored before sbatch, and again with its job id
    worker-0.log       output of a worker of the pool
    slurm/             files of submitit and SLURM
"""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.probes.folder import ProbeFolder
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import read_json, server_time, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, reading, tell
from scalinglab.scaling.records.processes import Process, process_start, this_process
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State
from scalinglab.scaling.run.describe import trainer_of
from scalinglab.scaling.text.conditions import ConditionError, parse
from scalinglab.sweeps.config import DEFAULT_CLASS, LaunchConfig
from scalinglab.sweeps.store.probe_questions import probe_folders, questions_folder
from scalinglab.sweeps.store.select import facts, that_meet
from scalinglab.sweeps.store.stored_plan import StoredPlan, StoredRun, read_plan, study_folder

SECONDS_A_NUMBER = 30.0  # of a probe: a guess, from which the number of SLURM workers follows
PROBER = "scalinglab.scaling.engine.probes.run_probe:run_probe"  # has the signature of a trainer
_LAUNCH: Shape = {
    "launched": (int, float),
    "config": dict,
    "classes": dict,
    "code": str,
    "launcher": (dict, type(None)),
}


@dataclass(frozen=True)
class Launch:
    """One stored launch.

    Attributes
    ----------
    folder : Path
        The launch's folder; its name is the token.
    launched : float
        When it began, by the file server's clock: runs that failed before are tried again.
    config : LaunchConfig
        Backend, workers, packs and budget.
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
        """The folder of all runs and studies."""
        return self.folder.parents[3]

    @property
    def plan_file(self) -> Path:
        """Where the study's plan is stored."""
        return study_folder(self.outputs, self.study) / "plan.json"

    def plan(self) -> StoredPlan:
        """The study's stored plan."""
        return read_plan(self.outputs, self.study)

    def trainer(self, run: RunFolder, execution: ExecutionConfig) -> str:
        """``module:function`` that trains a run, or does for it what else the launch is for."""
        return trainer_of(run.spec(), execution)

    def is_cancelled(self) -> bool:
        """Whether a person has cancelled it."""
        return (self.folder / "cancelled").exists()


@dataclass(frozen=True)
class ProbeLaunch(Launch):
    """One stored launch of probes: each of its "runs" is a run's questions (`ProbeFolder`).

    Its folder is ``<outputs>/studies/<name>/probes/launches/<token>``.

    Attributes
    ----------
    execution : ExecutionConfig
        How checkpoints are read.
    """

    execution: ExecutionConfig = field(default_factory=ExecutionConfig)

    @property
    def study(self) -> str:
        """Name of the study."""
        return self.folder.parents[2].name

    @property
    def outputs(self) -> Path:
        """The folder of all runs and studies."""
        return self.folder.parents[4]

    @property
    def plan_file(self) -> Path:
        """The folder of questions, which changes when one is added."""
        return questions_folder(self.outputs, self.study)

    def plan(self) -> StoredPlan:
        """All questions to the study's runs, as runs of a plan."""
        study = read_plan(self.outputs, self.study).study
        folders = probe_folders(self.outputs, self.study)
        runs = [probed_run(folder) for folder in folders if folder.exists()]
        return StoredPlan(study, self.execution, runs)

    def trainer(self, run: RunFolder, execution: ExecutionConfig) -> str:
        """``module:function`` that reads the checkpoints of a run."""
        return PROBER


def probed_run(folder: ProbeFolder) -> StoredRun:
    """The questions to a run in the form of a run to train, as launches and workers take it."""
    seconds = SECONDS_A_NUMBER * len(folder.missing())
    return StoredRun(folder.run_id, (), seconds=seconds, folder=folder)


def classify_runs(config: LaunchConfig, runs: list[StoredRun]) -> dict[str, str]:
    """run_id -> name of its resource class; all have the default class where workers are alike.

    Raises
    ------
    ConfigError
        If a ``where`` names a key that no run has.
    """
    if not config.classes or config.backend != "slurm":
        return {r.run_id: DEFAULT_CLASS for r in runs}
    rows = [facts(run, State.PLANNED) for run in runs]
    classes: dict[str, str] = {}
    for name, group in config.classes.items():
        try:
            chosen = that_meet(rows, parse(str(group["where"])))
        except ConditionError as error:
            raise ConfigError(f"launch.classes.{name}.where = {error}") from None
        for run, meets in zip(runs, chosen, strict=True):
            if meets:
                classes.setdefault(run.run_id, name)
    return {r.run_id: classes.get(r.run_id, DEFAULT_CLASS) for r in runs}


def new_launch(
    outputs: Path, study: str, config: LaunchConfig, runs: list[StoredRun], code: Path
) -> Launch:
    """A launch of some runs, not yet stored; nothing has started by then."""
    folder = launches_folder(outputs, study) / secrets.token_hex(4)
    classes = classify_runs(config, runs)
    return Launch(folder, server_time(outputs), config, classes, str(code))


def new_probe_launch(
    outputs: Path,
    study: str,
    config: LaunchConfig,
    runs: list[StoredRun],
    code: Path,
    execution: ExecutionConfig,
) -> ProbeLaunch:
    """A launch of the questions to some runs, not yet stored; nothing has started by then."""
    folder = questions_folder(outputs, study) / "launches" / secrets.token_hex(4)
    classes = classify_runs(config, runs)
    return ProbeLaunch(folder, server_time(outputs), config, classes, str(code), execution)


def store_launch(launch: Launch, *, returned: bool = False) -> None:
    """Store a launch; its workers read it again before each run.

    Once the launcher has `returned`, no process is stored: a notebook lives on after its launch,
    and cancelling the launch must not end it.
    """
    write_json(
        launch.folder / "launch.json",
        {
            "launched": launch.launched,
            "config": asdict(launch.config),
            "classes": launch.classes,
            "code": launch.code,
            "launcher": None if returned else this_process().to_dict(),
            **({"execution": asdict(launch.execution)} if isinstance(launch, ProbeLaunch) else {}),
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
    with reading(folder / "launch.json", "it tells no launch"):
        config = from_dict(LaunchConfig, stored["config"], "launch")
        values = (folder, stored["launched"], config, stored["classes"], stored["code"])
        if "execution" not in stored:
            return Launch(*values)
        return ProbeLaunch(*values, from_dict(ExecutionConfig, stored["execution"], "execution"))


def launcher_of(folder: Path) -> Process | None:
    """The process that stored a launch; None if it has returned.

    Raises
    ------
    DamagedFile
        If the launch cannot be read.
    """
    launcher = read_json(folder / "launch.json", _LAUNCH)["launcher"]
    with reading(folder / "launch.json", "it names no process"):
        return None if launcher is None else Process.from_dict(launcher)


def launched_by(outputs: Path, study: str, pid: int) -> bool:
    """Whether a process of this host has stored a launch of a study, and has not returned.

    Damaged launches are ignored: the process has just stored a launch that can be read.
    """
    process = (machine.host(), pid, process_start(pid))
    for file in launches_folder(outputs, study).glob("*/launch.json"):
        with contextlib.suppress(DamagedFile):
            launcher = launcher_of(file.parent)
            if (
                launcher is not None
                and (launcher.host, launcher.pid, launcher.process_start) == process
            ):
                return True
    return False


def read_launches(outputs: Path, study: str) -> list[Launch]:
    """All launches of a study, the earliest first; damaged ones are left out with a warning."""
    return launches_in(launches_folder(outputs, study))


def read_probe_launches(outputs: Path, study: str) -> list[Launch]:
    """All launches of probes of a study, as `read_launches`."""
    return launches_in(questions_folder(outputs, study) / "launches")


def launches_in(folder: Path) -> list[Launch]:
    """The launches in a folder, as `read_launches`."""
    launches = []
    for file in folder.glob("*/launch.json"):
        try:
            launches.append(read_launch(file.parent))
        except DamagedFile as error:
            tell(error, "its launch is left out")
    return sorted(launches, key=lambda launch: launch.launched)


def launches_folder(outputs: Path, study: str) -> Path:
    """Where the launches of a study lie."""
    return study_folder(outputs, study) / "launches"
