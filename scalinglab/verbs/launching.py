"""The verbs that plan a study and train it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.options import option
from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.records.state import ENDED
from scalinglab.verb import INTERRUPTED, Verb, open_console, say

if TYPE_CHECKING:
    from scalinglab.terminal import Screen

DRAW = "--schedules"
_FULL_DISK = 1e7  # bytes
_SHOWN = 10  # runs that are left, by name


@dataclass(frozen=True)
class AddOptions:
    """Options of ``scaling add``; further arguments are overrides of the study."""

    study: str = option("to which runs are added")
    block: str = option("a new name for them")
    role: str = option("what they are for: fit, held_out or curve", "fit")
    grid: dict[str, Any] = option("their axes: 'grid.model.width=[96]' 'grid.tokens=[524288]'", {})
    outputs: str = option("the folder of all runs", "outputs")


def plan_verb(arguments: Sequence[str]) -> int:
    """Show every run of a study with N, D, C, LR, what it shares, its pack and predicted seconds.

    Checks the whole study and its design first; trains nothing. The step time of each new shape
    is measured for about a second, on this machine or, where the runs need GPUs of a cluster, in
    a short job there; launch.measure=here, target and off decide.
    --schedules also draws the schedules, with their areas S1 and S2, here and as a PNG.
    """
    from scalinglab.compose import compose
    from scalinglab.sweeps.config import check_launch
    from scalinglab.sweeps.launch.launch import check_backend

    overrides = [a for a in arguments if a != DRAW]
    composed = compose(overrides)
    config = _launch_config(composed)
    (check_backend if config.measure == "target" else check_launch)(config)
    plan = _make_plan(composed, overrides, config)
    _show_plan(plan, config)
    _show_expected(plan)
    if DRAW in arguments:
        _show_schedules(plan)
    return 0


def launch_verb(arguments: Sequence[str]) -> int:
    """Train what a study still lacks: on a pool of workers, on SLURM (launch=slurm), or inline.

    The plan is made and stored first. Ctrl-C saves all runs of a pool, and leaves jobs on SLURM
    running; the same command goes on. launch.runs=failed tries only those again.
    """
    return launch_study(arguments)


def launch_study(arguments: Sequence[str], *, show_plan: bool = True) -> int:
    """What ``scaling launch`` does, for a command that may have shown the plan before.

    The exit code says whether the runs that were asked for are done, all or those of launch.runs.
    """
    from scalinglab.compose import compose
    from scalinglab.sweeps.launch.announced import announced
    from scalinglab.sweeps.launch.launch import check_backend

    composed = compose(arguments)
    config = _launch_config(composed)
    check_backend(config)
    with announced(composed):
        return _launch_composed(composed, config, arguments, show_plan)


def _launch_composed(
    composed: dict[str, Any], config: Any, arguments: Sequence[str], show_plan: bool
) -> int:
    """Plan, store, train, and say what is left; what a search asks for next is launched again."""
    from scalinglab.show import Watch
    from scalinglab.sweeps.launch.detach import detach
    from scalinglab.sweeps.launch.launch import launch
    from scalinglab.sweeps.plan.cost import check_budget, cost
    from scalinglab.sweeps.plan.gpus import check_gpu_memory
    from scalinglab.sweeps.plan.save import save_plan

    plan = _make_plan(composed, arguments, config)
    if show_plan:
        _show_plan(plan, config)
    check_budget(cost(plan), config.budget, plan.outputs)
    check_gpu_memory(plan, config)
    save_plan(plan)
    console, name = open_console(), plan.study.name
    if config.detach:
        given = [a for a in arguments if not a.startswith("launch.detach=")]
        if any(p.is_unfinished and math.isnan(p.seconds) for p in plan.runs):
            given.append("launch.measure=off")  # what could not be timed is not waited for twice
        return _say_detached(console, detach(given, plan.outputs, name), name)
    if any(p.is_unfinished for p in plan.runs):
        with Watch(console, plan.outputs, name) as watch:
            finished = launch(plan.outputs, name, config, watch.tick)
            watch.tick(at_once=True)
        if not finished:
            say(console, _interrupted(config.backend, name))
            return INTERRUPTED
        if _next_round(composed, plan):
            say(console, "the search goes on with what these runs found")
            return launch_study(arguments, show_plan=show_plan)
    return _end_of_launch(console, plan.outputs, name, config)


def _say_detached(console: Screen, launcher: Any, name: str) -> int:
    if launcher.code is None:
        say(
            console,
            f"process {launcher.pid} trains it and writes to {launcher.log}; scaling "
            f"status study={name} watch=true shows how far it is, scaling cancel "
            f"study={name} stops it",
        )
        return 0
    say(console, "\n".join(f"    {line}" for line in launcher.tail))
    say(
        console,
        f"the launch in the background ended at once, with exit code {launcher.code}: the "
        f"lines above are the last of {launcher.log}",
    )
    return 1 if launcher.code else 0


def _next_round(composed: dict[str, Any], plan: Any) -> bool:
    """Whether a search of the study asks for runs that the plan before did not hold."""
    from scalinglab.sweeps.plan.make import make_plan

    if all(b.get("generator") != "tune" for b in composed["study"]["blocks"].values()):
        return False
    before = {p.run.run_id for p in plan.runs}
    return any(p.run.run_id not in before for p in make_plan(composed).runs)


def _interrupted(backend: str, name: str) -> str:
    if backend == "slurm":
        return (
            f"left; the jobs go on. scaling status study={name} shows them, the same command "
            f"watches again, scaling cancel study={name} stops them"
        )
    return "interrupted; all runs are saved, the same command goes on"


def _end_of_launch(console: Screen, outputs: Path, name: str, config: Any) -> int:
    from scalinglab.scaling.text.printable import excerpt
    from scalinglab.show import counts
    from scalinglab.sweeps.launch.remaining import given_up, why_stopped
    from scalinglab.sweeps.store.launch_record import read_launches
    from scalinglab.sweeps.store.status import status
    from scalinglab.sweeps.store.stored_plan import read_plan

    final, damaged = status(outputs, name), read_plan(outputs, name).damaged
    say(console, f"{name}: {counts(final['state'])}")
    for error in damaged.values():
        say(console, f"left out: {error}", style="red")
    left = final[~final["state"].isin(ENDED)]
    if config.runs is not None and (launches := read_launches(outputs, name)):
        left = left[left["run_id"].isin(list(launches[-1].classes))]
    if len(left) and config.backend == "slurm" and not config.watch:
        say(console, f"submitted; scaling status study={name} shows how far it is")
        return 0
    why = why_stopped(outputs, name)
    if why is not None:
        say(console, f"stopped: {why}", style="red")
    reasons = given_up(outputs, name)
    for row in left.head(_SHOWN).to_dict("records"):
        why = "; ".join(filter(None, (excerpt(row["note"]), reasons.get(row["run_id"]))))
        say(console, f"  {row['run_id']} {row['state']}{': ' * bool(why)}{why}")
    if len(left) > _SHOWN:
        say(console, f"  and {len(left) - _SHOWN:,} more")
    if len(left):
        free = shutil.disk_usage(outputs).free
        if free < _FULL_DISK:  # a worker that cannot write cannot say so either
            say(
                console, f"the disk of {outputs} is full: {free / 1e6:.3g} MB are free", style="red"
            )
        say(
            console,
            f"scaling status study={name} why=true shows the causes, "
            f"scaling logs study={name} runs=RUN what a worker said",
        )
    return 1 if len(left) or damaged else 0


def add_verb(arguments: Sequence[str]) -> int:
    """Add runs to a study: scaling add study=NAME block=wider role=fit 'grid.model.width=[96]'.

    The block is part of every later plan of the study, until it is taken out of its added.json
    (and the checksum with it), and the next launch trains what is new.
    Overrides with which the study was launched are given again: it is planned first.
    """
    from scalinglab.compose import compose
    from scalinglab.options import read_options, split_options
    from scalinglab.sweeps.study.added import add_block, with_added
    from scalinglab.sweeps.study.expand import BlockConfig
    from scalinglab.sweeps.study.study import check_study

    mine, others = split_options(AddOptions, arguments)
    options = read_options(AddOptions, mine)
    if not options.grid:
        raise ConfigError("grid is not set; give axes, as in 'grid.model.width=[96]'")
    overrides = [f"study={options.study}", f"outputs={options.outputs}", *others]
    composed = with_added(compose(overrides))
    config = _launch_config(composed)
    check_study(composed)
    blocks = composed["study"]["blocks"]
    if options.block in blocks:
        raise ConfigError(f"study.blocks.{options.block} exists; choose another name")
    block = BlockConfig(options.role, options.grid)
    blocks[options.block] = asdict(block)
    plan = _make_plan(composed, overrides, config)  # refuses what cannot be trained
    _show_plan(plan, config)
    add_block(plan.outputs, plan.study.name, options.block, block)
    say(open_console(), f"added; scaling launch study={options.study} trains what is new")
    return 0


def _make_plan(composed: dict[str, Any], overrides: Sequence[str], config: Any) -> Any:
    from scalinglab import analysis
    from scalinglab.analysis.reporting.verdict import check_kind
    from scalinglab.scaling.config import one_of
    from scalinglab.sweeps.config import check_launch
    from scalinglab.sweeps.launch.cluster_timing import timing_target
    from scalinglab.sweeps.plan.make import make_plan
    from scalinglab.sweeps.plan.places import check_places
    from scalinglab.sweeps.plan.timing import with_seconds
    from scalinglab.sweeps.study.study import check_overrides

    check_launch(config)
    plan = make_plan(composed)
    check_overrides(composed, overrides)
    check_places(config, plan.execution)
    for key in ("law", "curve_law"):  # known to the analysis; asked before anything is spent
        one_of(f"study.answer.{key}", getattr(plan.study.answer, key), analysis.LAWS)
    check_kind(plan.study.answer.kind, plan.study.answer.options)
    console = open_console()
    target = timing_target(config, plan.execution, plan.outputs, lambda text: say(console, text))
    return with_seconds(plan, target, config)


def _launch_config(composed: dict[str, Any]) -> Any:
    from scalinglab.scaling.config import from_dict
    from scalinglab.sweeps.config import LaunchConfig

    return from_dict(LaunchConfig, composed["launch"], "launch")


def _show_plan(plan: Any, config: Any) -> None:
    from scalinglab.show import PLAN_OPTIONAL, plan_frame
    from scalinglab.sweeps.plan.gpus import about_gpus
    from scalinglab.sweeps.plan.order import packs
    from scalinglab.sweeps.plan.places import about_idle_gpus, worker_count
    from scalinglab.sweeps.plan.sizes import about_packs
    from scalinglab.sweeps.plan.timing import about_estimates, about_processes

    console = open_console()
    console.table(plan_frame(plan), optional=PLAN_OPTIONAL)
    execution = plan.execution
    workers = worker_count(config, execution, len(packs(plan)))
    for sentence in (
        *about_packs(plan, config),
        *about_processes(plan),
        *about_estimates(plan),
        *about_gpus(plan, config),
        *about_idle_gpus(config, execution),
    ):
        say(console, sentence)
    say(console, _totals(plan, workers, config.rate))
    for warning in plan.warnings:
        say(console, f"! {warning}", style="yellow")
    if not plan.warnings:
        say(console, "design: nothing found against it")


def _show_expected(plan: Any) -> None:
    """How well the planned points will determine the study's law, where that can be told."""
    from scalinglab.analysis.intervals.expected import expect_of_plan
    from scalinglab.show import points_frame

    expected = expect_of_plan(plan.study.answer, points_frame(plan))
    if expected is not None:
        say(open_console(), expected.sentence())


def _show_schedules(plan: Any) -> None:
    """Each schedule of a plan once, with its areas; the picture lies beside the plan."""
    from scalinglab.analysis.reporting.schedules import DECAY, draw_schedules, schedule_table
    from scalinglab.scaling.schedule.pieces import lr_array
    from scalinglab.show import distinct_schedules

    schedules = {name: lr_array(run.pieces) for name, run in distinct_schedules(plan).items()}
    console = open_console()
    frame = schedule_table(schedules)
    for name in ("peak", "S1", "S2"):
        frame[name] = [f"{value:.4g}" for value in frame[name]]
    console.table(frame, optional=("peak", "rate"))
    path = plan.folder / "schedules.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_schedules(schedules).savefig(path, dpi=150)
    say(console, f"S2 with lambda = {DECAY}; drawn in {path}")


def _totals(plan: Any, workers: int, rate: float | None) -> str:
    """What a plan comes to, in a few sentences."""
    import pandas as pd

    from scalinglab.show import counts, duration
    from scalinglab.sweeps.plan.cost import cost
    from scalinglab.sweeps.plan.order import finish_seconds

    runs = f"{len(plan.runs)} runs ({counts(pd.Series([p.state for p in plan.runs]))})"
    if not any(p.is_unfinished for p in plan.runs):
        return f"{runs}: nothing is left to train."
    new = sum(p.new_steps for p in plan.runs)
    seconds = pd.Series([p.seconds for p in plan.runs if p.is_unfinished])
    alone = sum(p.seconds_alone for p in plan.runs if p.seconds_alone > 0)
    packed = any(p.pack > 1 for p in plan.runs if p.new_steps)
    found = cost(plan)
    unrecorded = sum(p.is_unfinished and not p.new_steps and p.needs is None for p in plan.runs)
    flops = sum(p.run.C * p.new_steps / p.run.steps for p in plan.runs)
    time = (
        (
            f"Predicted {duration(seconds.sum())} of training"
            + (f" ({duration(alone)} without packs), " if packed else ", ")
            + f"{duration(finish_seconds(plan, workers))} on {workers} worker(s)"
            + (
                f", without the {seconds.isna().sum()} runs whose time is not known"
                if seconds.isna().any()
                else ""
            )
            + f"; the longest {'pack' if packed else 'run'} {duration(3600 * found.longest_hours)}. "
            f"{found.new_hours:.3g} device-hours"
            + (f" to go, {found.spent_hours:.3g} spent" if found.spent_hours else "")
            + (f", {rate * found.new_hours:.2f} at {rate:g} an hour" if rate is not None else "")
        )
        if seconds.notna().any()
        else "How long they take is not known"
    )
    return (
        f"{runs}: {new:,} new steps, {flops:.2e} FLOPs; "
        f"{sum(p.run.steps for p in plan.runs) - new:,} steps are shared or done. {time}"
        f"; up to {found.memory_gb:.2g} GB of memory a process at its peak, "
        f"{found.new_disk_gb:.2g} GB of checkpoints."
        + (
            f" {unrecorded} run(s) have their last checkpoint and lack only their record."
            if unrecorded
            else ""
        )
    )


VERBS = {
    "plan": Verb(
        "show a study's runs, their cost and what is confounded; train nothing",
        "scaling plan study=quickstart [--schedules] [key=value ...]",
        plan_verb,
    ),
    "launch": Verb(
        "train what a study still lacks",
        "scaling launch study=quickstart [launch=local|slurm|inline] [key=value ...]",
        launch_verb,
    ),
    "add": Verb(
        "add runs to a study",
        "scaling add study=NAME block=NAME [role=fit] grid.KEY=[...]",
        add_verb,
        AddOptions,
    ),
}
