"""A study as an object, for notebooks and scripts: what the command line does, as data frames.

>>> from scalinglab import Study                                                  # doctest: +SKIP
>>> study = Study.open("quickstart", outputs="outputs")
>>> study.plan(); study.launch(); study.results()

This is the one file of this package that composes: there is no command line to do it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.answers.methods import StudyAnswers

if TYPE_CHECKING:
    from scalinglab.sweeps.plan.plan import Plan


@dataclass(frozen=True)
class Study(StudyAnswers):
    """A study by its name, with overrides that hold for all that is asked of it.

    Attributes
    ----------
    name : str
        Of its file in ``conf/study``, the shipped one or the current folder's, and of its folder
        below ``outputs/studies``.
    overrides : tuple of str
        Hydra's, as on the command line.
    outputs : Path
        Where everything is written.
    """

    name: str
    overrides: tuple[str, ...]
    outputs: Path

    @staticmethod
    def open(name: str, *overrides: str, outputs: str | Path = "outputs") -> Study:
        """A study; nothing is read or written yet.

        >>> Study.open("quickstart", "tokens=1e6").overrides
        ('tokens=1e6',)
        """
        return Study(name, overrides, Path(outputs).absolute())

    def plan(self, *overrides: str) -> pd.DataFrame:
        """What would be trained and what it costs; trains nothing.

        Returns
        -------
        DataFrame
            One row a run: ``run_id, role, N, D, C, lr, schedule, seed, state, steps, new_steps,
            starts_from`` (a step), ``seconds`` (predicted, of the work left) and ``pack`` (how
            many such runs train together). What is missing in the design or confounded is in
            ``.attrs["warnings"]``.

        Raises
        ------
        ConfigError
            On any mistake in the study, in one sentence.
        """
        plan = self._plan(self._compose(overrides))
        frame = pd.DataFrame(
            [
                {
                    "run_id": p.run.run_id,
                    "role": ",".join(p.roles),
                    "N": p.run.counts["n_matmul"],
                    "D": p.run.tokens,
                    "C": p.run.C,
                    "lr": p.run.lr,
                    "schedule": p.run.config.schedule.kind,
                    "seed": p.run.config.seed,
                    "state": p.state,
                    "steps": p.run.steps,
                    "new_steps": p.new_steps,
                    "starts_from": p.start,
                    "seconds": p.seconds,
                    "pack": p.pack,
                }
                for p in plan.runs
            ]
        )
        frame.attrs["warnings"] = plan.warnings
        return frame

    def launch(self, *overrides: str) -> pd.DataFrame:
        """Train what is missing and say how far it is; an interrupt saves all runs.

        ``launch("launch=inline")`` trains in this process, ``launch("launch.workers=2")`` on a
        pool of two. Give it again after an interrupt: it goes on.

        Returns
        -------
        DataFrame
            As `status`.

        Raises
        ------
        ConfigError
            On any mistake; nothing has been trained by then.
        """
        from scalinglab.scaling.config import ConfigError, from_dict
        from scalinglab.sweeps.config import LaunchConfig
        from scalinglab.sweeps.launch.announced import announced
        from scalinglab.sweeps.launch.launch import check_backend, launch
        from scalinglab.sweeps.plan.cost import check_budget, cost
        from scalinglab.sweeps.plan.places import check_places
        from scalinglab.sweeps.plan.save import save_plan

        composed = self._compose(overrides)
        config = from_dict(LaunchConfig, composed["launch"], "launch")
        check_backend(config)
        if config.detach:
            raise ConfigError("launch.detach=true is for the command line: here, launch() stays")
        with announced(composed):
            plan = self._plan(composed)
            check_places(config, plan.execution)
            check_budget(cost(plan), config.budget, plan.outputs)
            save_plan(plan)
        if any(p.is_unfinished for p in plan.runs):
            progress = _Progress(self)
            if not launch(self.outputs, self.name, config, progress.tick):
                print(
                    "interrupted: what trained here is saved, jobs on SLURM go on; launch() "
                    "takes it up again"
                )
            progress.tick()
        return self.status()

    def status(self) -> pd.DataFrame:
        """One row a run, as ``scalinglab.sweeps.store.status.status`` describes it, derived from the run folders.

        Raises
        ------
        ConfigError
            If the study was never launched in these outputs.
        """
        from scalinglab.sweeps.store.status import status

        return status(self.outputs, self.name)

    def results(self) -> pd.DataFrame:
        """One row a finished run, diverged ones included: what ``runs.parquet`` holds.

        Raises
        ------
        ConfigError
            As `status`.
        """
        return self._collected(0)

    def curves(self) -> pd.DataFrame:
        """One row a step of each finished run: what ``curves.parquet`` holds.

        Raises
        ------
        ConfigError
            As `status`.
        """
        return self._collected(1)

    def _collected(self, which: int) -> pd.DataFrame:
        from scalinglab.sweeps.watch.collect import collect

        return pd.read_parquet(collect(self.outputs, self.name)[which])

    def compose(self, *overrides: str) -> dict[str, Any]:
        """The configuration of the study."""
        return self._compose(overrides)

    def _compose(self, overrides: tuple[str, ...]) -> dict[str, Any]:
        from scalinglab.compose import compose
        from scalinglab.scaling.config import ConfigError
        from scalinglab.sweeps.study.study import check_overrides

        composed = compose([f"study={self.name}", *self.overrides, *overrides])
        check_overrides(composed, [*self.overrides, *overrides])
        if composed["study"]["name"] != self.name:
            raise ConfigError(
                f"study.name = {composed['study']['name']!r}: a study that is opened by name has "
                f"the name of its file, {self.name!r}"
            )
        return composed | {"outputs": str(self.outputs)}

    def _plan(self, composed: dict[str, Any]) -> Plan:
        from scalinglab.scaling.config import from_dict
        from scalinglab.sweeps.config import LaunchConfig, check_launch
        from scalinglab.sweeps.launch.cluster_timing import timing_target
        from scalinglab.sweeps.plan.make import make_plan
        from scalinglab.sweeps.plan.timing import with_seconds

        config = from_dict(LaunchConfig, composed["launch"], "launch")
        check_launch(config)
        plan = make_plan(composed)
        return with_seconds(
            plan, timing_target(config, plan.execution, self.outputs, print), config
        )


class _Progress:
    """A line whenever the count of some state has changed."""

    def __init__(self, study: Study) -> None:
        self.study, self.began, self.before = study, time.monotonic(), ""

    def tick(self) -> None:
        from scalinglab.show import counts, duration

        now = counts(self.study.status()["state"])
        if now != self.before:
            print(
                f"{self.study.name}: {now}  ({duration(time.monotonic() - self.began)})", flush=True
            )
        self.before = now
