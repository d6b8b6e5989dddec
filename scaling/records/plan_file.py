"""plan.json of a study, written and read in one place: its question and its runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scalinglab.scaling.fields import ABOVE_0, setting
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape, check_shape, reading, tell
from scalinglab.scaling.records.data_spec import known_fields

_PLAN: Shape = {"plan_version": int, "study": {"name": str}, "execution": dict, "runs": list}
_RUN: Shape = {"run_id": str, "roles": list, "pins": list}


@dataclass(frozen=True)
class AnswerConfig:
    """The question to the analysis: a law of the runs, or the verdict of a kind of study."""

    kind: str = "law"  # or a verdict: the files of analysis/studies
    options: dict[str, Any] = field(default_factory=dict)  # options of the verdict
    law: str = "chinchilla"
    budgets: list[float] = setting([], ABOVE_0)  # C in FLOPs, to allocate
    # What a plan promises: the interval at the target (or the largest held-out run) if the law is
    # near the reference (else the published one) and losses scatter by the noise.
    target: dict[str, float] = field(default_factory=dict)
    reference: dict[str, float] = field(default_factory=dict)
    noise: float = 0.005
    delta: float | str | None = None  # threshold of the fits' cost: a number, published or scaled
    curve_law: str = "lr_annealing"
    curve_held_out: str | None = None  # the schedule kind that is predicted

    @property
    def x(self) -> str:
        """The variable of a law in one variable; a verdict has it as its option ``x``."""
        return str(self.options.get("x", "x"))


@dataclass(frozen=True)
class StudyConfig:
    """A named list of runs with the question they answer."""

    name: str
    question: str
    blocks: dict[str, Any]
    answer: AnswerConfig = field(default_factory=AnswerConfig)
    checkpoints: Any = None  # steps that keep a checkpoint: {log: 8}, {every: 500} or a list


@dataclass(frozen=True)
class PlanEntry:
    """One run of a stored plan.

    Attributes
    ----------
    run_id : str
    roles, blocks : tuple of str
        Its roles in the study, and the blocks that contain it.
    needs : tuple or None
        (run_id, step): the checkpoint from which it is to start.
    pins : tuple of int
        Steps whose checkpoints others start from.
    seconds, seconds_whole : float or None
        Predicted seconds of the remaining steps, and of the whole run.
    kind : str or None
        Equal for packable runs; None: it trains alone.
    pack : int
        Members of a pack of its kind, if the plan chose them.
    start : int
        The step from which it has to be trained.
    given : mapping
        Hyper-parameters that a rule sets, with the rule and the value.
    kept : tuple of int
        Steps whose checkpoints are kept for probes.
    varies : str
        The settings in which it differs from other runs besides size, tokens and seed.
    """

    run_id: str
    roles: tuple[str, ...]
    blocks: tuple[str, ...] = ()
    needs: tuple[str, int] | None = None
    pins: tuple[int, ...] = ()
    seconds: float | None = None
    seconds_whole: float | None = None
    kind: str | None = None
    pack: int = 1
    start: int = 0
    given: Mapping[str, Any] = field(default_factory=dict, hash=False)
    kept: tuple[int, ...] = ()
    varies: str = ""

    @classmethod
    def from_dict(cls, run: Mapping[str, Any]) -> PlanEntry:
        """Read a run of a plan.json; older plans lack the time of the whole run."""
        tuples = {
            key: None if run.get(key) is None else tuple(run[key])
            for key in ("roles", "blocks", "needs", "pins", "kept")
            if key in run
        }
        seconds_whole = run.get("seconds_whole", run.get("seconds"))
        return known_fields(cls, {**run, **tuples, "seconds_whole": seconds_whole})


@dataclass(frozen=True)
class PlanFile:
    """A study as it was planned, or imported: an imported one has no runs to train.

    Attributes
    ----------
    version : int
    study : StudyConfig
    execution : mapping
        How the runs are executed, as plain values.
    runs : tuple of PlanEntry
    warnings : tuple of str
        The warnings of the planner.
    extend : tuple of str
        Files and modules with parts that its runs and answers need.
    """

    version: int
    study: StudyConfig
    execution: Mapping[str, Any]
    runs: tuple[PlanEntry, ...]
    warnings: tuple[str, ...] = ()
    extend: tuple[str, ...] = ()


def write_plan_file(path: Path, plan: PlanFile) -> None:
    """Store a plan."""
    content = asdict(plan)
    write_json(path, {"plan_version": content.pop("version"), **content})


def read_study_config(study: Mapping[str, Any]) -> StudyConfig:
    """A stored study; keys that an old or imported one lacks have their defaults."""
    answer = known_fields(AnswerConfig, study.get("answer", {}))
    return known_fields(StudyConfig, {"question": "", "blocks": {}, **study, "answer": answer})


def read_plan_file(path: Path) -> PlanFile:
    """The content of a plan.json.

    Raises
    ------
    DamagedFile
        If it cannot be read, or belongs to another study.
    """
    plan = read_json(path, _PLAN)
    for i, run in enumerate(plan["runs"]):
        check_shape(path, run, _RUN, f"runs[{i}]")
    with reading(path, "it is no plan"):
        study = read_study_config(plan["study"])
        runs = tuple(map(PlanEntry.from_dict, plan["runs"]))
        warnings, extend = tuple(plan.get("warnings", ())), tuple(plan.get("extend", ()))
    if study.name != path.parent.name:
        raise DamagedFile(path, f"it is the plan of the study {study.name!r}")
    return PlanFile(plan["plan_version"], study, plan["execution"], runs, warnings, extend)


def plan_before(path: Path) -> PlanFile | None:
    """The plan that a new one replaces; None if there is none, or it is damaged."""
    try:
        return read_plan_file(path)
    except FileNotFoundError:
        return None
    except DamagedFile as error:
        tell(error, "planned as if for the first time")
        return None


def stored_plans(outputs: Path) -> Iterator[tuple[str, PlanFile]]:
    """Every study with its plan; damaged plans are logged and left out."""
    for path in sorted(outputs.glob("studies/*/plan.json")):
        try:
            yield path.parent.name, read_plan_file(path)
        except DamagedFile as error:
            tell(error, "its study is left out")
