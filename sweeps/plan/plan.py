"""The plan of a study: its runs, what they share and how long they take.

``make`` makes it, ``timing`` predicts the seconds, ``save`` stores it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data.mixed import Store
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.plan_file import StudyConfig
from scalinglab.scaling.records.record import Record
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import ENDED, State
from scalinglab.scaling.run.resolve import Run
from scalinglab.sweeps.store.stored_plan import study_folder


@dataclass(frozen=True)
class PlannedRun:
    """A run of a plan.

    Attributes
    ----------
    run : Run
        The resolved run.
    store : Store
        The data it is trained on.
    blocks, roles : tuple of str
        The study's blocks that ask for it, and the roles that they give it.
    needs : tuple or None
        (run_id, step): the checkpoint of another run of the plan from which it starts.
    pins : tuple of int
        Steps whose checkpoints other runs of the plan start from.
    start : int
        Step from which there is work left: that of a checkpoint on disk, or of `needs`.
    state : State
        Its state when the plan was made.
    record : Record or None
        What a finished run left.
    damage : DamagedFile or None
        Which of its files cannot be read, and why.
    seconds : float
        Predicted time of the work left, for a member of a pack its share of the pack's time; NaN
        before ``scalinglab.sweeps.plan.timing`` has measured.
    kind : str or None
        Kind of pack (``scalinglab.sweeps.store.packs.pack_kind``); None: not packable.
    pack : int
        Members of a pack of its kind (``scalinglab.sweeps.plan.pack_sizes``).
    seconds_alone : float
        As `seconds`, if every run is trained individually.
    estimated : bool
        Whether both are estimates, because a step took too long to be timed.
    kept : tuple of int
        Steps whose checkpoints stay for probes (``scalinglab.sweeps.plan.kept``).
    varies : str
        The settings that distinguish it from the others (``scalinglab.sweeps.plan.varying``).
    """

    run: Run
    store: Store
    blocks: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    needs: tuple[str, int] | None = None
    pins: tuple[int, ...] = ()
    start: int = 0
    state: State = State.PLANNED
    record: Record | None = None
    damage: DamagedFile | None = None
    seconds: float = float("nan")
    kind: str | None = None
    pack: int = 1
    seconds_alone: float = float("nan")
    estimated: bool = False
    kept: tuple[int, ...] = ()
    varies: str = ""

    @property
    def is_unfinished(self) -> bool:
        """Whether its record is still to be written, also if no step is left to be trained.

        A process may have been killed, or the run's folder removed, after the last checkpoint; or
        a longer run of the same family has trained its last step.
        """
        return self.state not in ENDED

    @property
    def new_steps(self) -> int:
        """Steps that have to be trained for it."""
        return self.run.steps - self.start if self.is_unfinished else 0


@dataclass(frozen=True)
class Plan:
    """A study's runs in the order in which they are best started, and the checks of its design.

    `extend` names the extensions that its runs and answers need, so that they are found from any
    working directory.
    """

    study: StudyConfig
    outputs: Path
    execution: ExecutionConfig
    runs: list[PlannedRun]
    warnings: list[str] = field(default_factory=list)
    extend: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where the study's own files lie."""
        return study_folder(self.outputs, self.study.name)

    def run_folder(self, planned: PlannedRun) -> RunFolder:
        """The folder of one of the runs."""
        return RunFolder(self.outputs / "runs" / planned.run.run_id)
