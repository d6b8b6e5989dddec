"""Selections of runs, checked before their plan is stored: an impossible one is refused early."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import State
from scalinglab.scaling.run.describe import describe
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.plan.plan import Plan, PlannedRun
from scalinglab.sweeps.store.launch_record import classify_runs
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import StoredRun


@dataclass(frozen=True)
class RunToStore(StoredRun):
    """A run as it will be stored; its folder may not be there yet."""

    described: RunSpec | None = None

    def spec(self) -> RunSpec:
        """The runs that will be trained."""
        assert self.described is not None
        return self.described


def to_store(planned: PlannedRun, outputs: Path) -> RunToStore:
    """A planned run as it will be stored."""
    return RunToStore(
        planned.run.run_id,
        planned.roles,
        blocks=planned.blocks,
        needs=planned.needs,
        pins=planned.pins,
        folder=RunFolder(outputs / "runs" / planned.run.run_id),
        described=describe(planned.run, planned.store),
    )


def check_selections(plan: Plan, config: LaunchConfig) -> None:
    """Refuse a launch whose selections choose no run, or name a key that no run has.

    Raises
    ------
    ConfigError
        Naming the key and what is allowed.
    """
    if config.runs is None and not config.classes:
        return
    runs: list[StoredRun] = [to_store(p, plan.outputs) for p in plan.runs]
    if config.runs is not None:
        chosen = select(runs, config.runs, "launch.runs")
        _check_sources(plan, config.runs, {run.run_id for run in chosen})
    classify_runs(config, runs)


def _check_sources(plan: Plan, text: str, chosen: Collection[str]) -> None:
    """Refuse chosen runs that begin with the weights of a run that nobody trains."""
    states = {p.run.run_id: p.state for p in plan.runs}
    for planned in plan.runs:
        initial, needs = planned.run.initial, planned.needs
        if planned.run.run_id not in chosen or initial is None or needs is None:
            continue
        source, step = needs
        if source == initial.run and source not in chosen and states[source] != State.RUNNING:
            raise ConfigError(
                f"launch.runs = {text!r} chooses run {planned.run.run_id} and not run {source}, "
                f"with whose weights at step {step} it begins (init_from) and which has yet to "
                "leave them: choose both, or launch that one first"
            )
