"""The end of a launch: finished runs, unfinished ones and why."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.detach import Detached
from scalinglab.scaling.records.state import ENDED
from scalinglab.scaling.text.printable import excerpt
from scalinglab.show import counts
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.remaining import given_up, why_stopped
from scalinglab.sweeps.store.launch_record import read_launches
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.terminal import Screen
from scalinglab.verb import INTERRUPTED

_FULL_DISK = 1e7  # free bytes below which a disk counts as full
_SHOWN = 10  # reasons that are shown, and unfinished runs of each by name


@dataclass(frozen=True)
class LaunchResult:
    """The study at the end of a launch.

    Attributes
    ----------
    study : str
    outputs : Path
    frame : DataFrame
        One row a run, as ``Study.status``.
    left : DataFrame
        Rows of the runs that the launch was to train and that have not ended.
    damaged : dict
        run_id -> what is wrong with its files.
    interrupted : bool
        Whether the person stopped the launch.
    submitted : bool
        Whether the unfinished runs are in SLURM's queue and the launch did not wait for them.
    stopped : str or None
        Why the launch must not go on.
    given_up : dict
        run_id -> why the launch does not retry the run.
    """

    study: str
    outputs: Path
    frame: pd.DataFrame
    left: pd.DataFrame
    damaged: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    submitted: bool = False
    stopped: str | None = None
    given_up: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> int:
        """0 if all runs of the launch have ended undamaged, or are submitted."""
        if self.interrupted:
            return INTERRUPTED
        return 0 if self.submitted else int(bool(len(self.left) or self.damaged))

    def as_json(self) -> dict[str, Any]:
        """The table of `frame`, and why the launch ended."""
        return {
            "study": self.study,
            "outputs": self.outputs,
            "runs": self.frame,
            "left": list(self.left["run_id"]),
            "damaged": self.damaged,
            "interrupted": self.interrupted,
            "submitted": self.submitted,
            "stopped": self.stopped,
            "given_up": self.given_up,
        }

    def show(self, screen: Screen) -> None:
        """Progress of the study; the unfinished runs, and why they are unfinished."""
        for sentence, style in self._sentences():
            screen.say(sentence, style)

    def _sentences(self) -> Iterator[tuple[str, str]]:
        if self.interrupted:  # the launch has said so already
            return
        yield f"{self.study}: {counts(self.frame['state'])}", ""
        for error in self.damaged.values():
            yield f"left out: {error}", "red"
        if self.submitted:
            yield f"submitted; scaling status study={self.study} shows how far it is", ""
            return
        if self.stopped is not None:
            yield f"stopped: {self.stopped}", "red"
        alike = self._left_by_reason()
        for (state, why), names in list(alike.items())[:_SHOWN]:
            more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
            yield f"  {', '.join(names[:_SHOWN])}{more} {state}{': ' * bool(why)}{why}", ""
        if others := sum(map(len, list(alike.values())[_SHOWN:])):
            yield f"  and {others:,} more", ""
        if len(self.left):
            yield from self._ways_out()

    def _left_by_reason(self) -> dict[tuple[str, str], list[str]]:
        """(state, why) -> the runs that are left for it: one cause is told once."""
        alike: dict[tuple[str, str], list[str]] = {}
        for row in self.left.to_dict("records"):
            note = "" if row["note"] and row["note"] in (self.stopped or "") else row["note"]
            why = "; ".join(filter(None, (excerpt(note), self.given_up.get(row["run_id"]))))
            alike.setdefault((str(row["state"]), why), []).append(row["run_id"])
        return alike

    def _ways_out(self) -> Iterator[tuple[str, str]]:
        free = shutil.disk_usage(self.outputs).free
        if free < _FULL_DISK:  # workers could not write the error down
            yield f"the disk of {self.outputs} is full: {free / 1e6:.3g} MB are free", "red"
        yield (
            f"scaling status study={self.study} why=true shows the causes, "
            f"scaling logs study={self.study} runs=RUN what a worker wrote",
            "",
        )

    def _repr_html_(self) -> str:
        return self.frame.to_html()


def end_of_launch(
    outputs: Path, name: str, config: LaunchConfig, *, interrupted: bool = False
) -> LaunchResult:
    """The state of a study after a launch, and which runs of the launch are unfinished."""
    frame, plan = status(outputs, name), read_plan(outputs, name)
    results = {run.run_id: run.folder.result_damage() for run in plan.runs}
    damaged = {**plan.damaged, **{run_id: error for run_id, error in results.items() if error}}
    left = frame[~frame["state"].isin(ENDED)]
    if config.runs is not None and (launches := read_launches(outputs, name)):
        left = left[left["run_id"].isin(list(launches[-1].classes))]
    submitted = len(left) > 0 and config.backend == "slurm" and not config.watch
    return LaunchResult(
        name,
        outputs,
        frame,
        left,
        {run_id: str(error) for run_id, error in damaged.items()},
        interrupted,
        submitted,
        None if submitted else why_stopped(outputs, name),
        {} if submitted else given_up(outputs, name),
    )


@dataclass(frozen=True)
class DetachedLaunch:
    """A launch that goes on in a process of its own.

    Attributes
    ----------
    study : str
    launcher : Detached
        The process, its log, and how it ended if it ended at once.
    """

    study: str
    launcher: Detached

    @property
    def code(self) -> int:
        """0 while the launcher lives, or if it ended well."""
        return int(bool(self.launcher.code))

    def as_json(self) -> dict[str, Any]:
        """The process and its log."""
        return {"study": self.study, **vars(self.launcher)}

    def show(self, screen: Screen) -> None:
        """Where it writes, and the commands that watch and stop it."""
        launcher, name = self.launcher, self.study
        if launcher.code is None:
            screen.say(
                f"process {launcher.pid} trains it and writes to {launcher.log}; scaling "
                f"status study={name} watch=true shows how far it is, scaling cancel "
                f"study={name} stops it"
            )
            return
        screen.say("\n".join(f"    {line}" for line in launcher.tail))
        screen.say(
            f"the launch in the background ended at once, with exit code {launcher.code}: the "
            f"lines above are the last of {launcher.log}"
        )
