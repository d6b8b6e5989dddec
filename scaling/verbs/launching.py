"""The verbs that plan a study and train it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling.verbs.verb import INTERRUPTED, Verb, open_console, say

if TYPE_CHECKING:
    from rich.console import Console


def plan_verb(arguments: Sequence[str]) -> int:
    """Show every run of a study with N, D, C, LR, what it shares and its predicted seconds.

    Checks the whole study and its design first; trains nothing. The step time of each new shape
    is measured for about a second.
    """
    from scaling.compose import compose

    composed = compose(arguments)
    _show_plan(_make_plan(composed, arguments), _launch_config(composed))
    return 0


def launch_verb(arguments: Sequence[str]) -> int:
    """Train what a study still lacks, on a pool of workers or in this process.

    The plan is made and stored first. Ctrl-C saves all runs; the same command goes on.
    """
    from scaling.compose import compose
    from sweeps.launch import check_launch, launch
    from sweeps.plan import save_plan
    from sweeps.show import Watch, counts
    from sweeps.state import status

    composed = compose(arguments)
    config = _launch_config(composed)
    check_launch(config)
    plan = _make_plan(composed, arguments)
    _show_plan(plan, config)
    save_plan(plan)
    console, name = open_console(), plan.study.name
    if any(p.new_steps for p in plan.runs):
        with Watch(console, plan.outputs, name) as watch:
            finished = launch(plan.outputs, name, config, watch.tick)
            watch.tick()
        if not finished:
            say(console, "interrupted; all runs are saved, the same command goes on")
            return INTERRUPTED
    final = status(plan.outputs, name)
    say(console, f"{name}: {counts(final['state'])}")
    return _end_of_launch(console, final, plan.outputs, name)


def _end_of_launch(console: Console, final: Any, outputs: Path, name: str) -> int:
    left = final[~final["state"].isin(["done", "diverged"])]
    for row in left.to_dict("records"):
        say(console, f"  {row['run_id']} {row['state']}: {row['note']}")
    if len(left):
        say(console, f"tracebacks: {outputs}/runs/<run>/attempts/*.end; "
                      f"{outputs}/studies/{name}/workers.log")
    return 1 if len(left) else 0


def _make_plan(composed: dict[str, Any], overrides: Sequence[str]) -> Any:
    import analysis
    from scaling.config import one_of
    from sweeps.cost import with_costs
    from sweeps.plan import make_plan
    from sweeps.study import check_overrides

    plan = make_plan(composed)
    check_overrides(composed, overrides)
    for key in ("law", "curve_law"):  # known to the analysis; asked before anything is spent
        one_of(f"study.answer.{key}", getattr(plan.study.answer, key), analysis.LAWS)
    return with_costs(plan)


def _launch_config(composed: dict[str, Any]) -> Any:
    from scaling.config import from_dict
    from sweeps.launch import LaunchConfig

    return from_dict(LaunchConfig, composed["launch"], "launch")


def _show_plan(plan: Any, config: Any) -> None:
    from sweeps.launch import worker_count
    from sweeps.show import PLAN_OPTIONAL, plan_frame, table

    console = open_console()
    frame = plan_frame(plan)
    console.print(table(frame, console.width, PLAN_OPTIONAL))
    say(console, _totals(plan, worker_count(config, plan.execution.threads, len(plan.runs))))
    for warning in plan.warnings:
        say(console, f"! {warning}", style="yellow")
    if not plan.warnings:
        say(console, "design: nothing found against it")


def _totals(plan: Any, workers: int) -> str:
    """What a plan comes to, in a sentence or two."""
    import pandas as pd

    from sweeps.cost import finish_seconds
    from sweeps.show import counts, duration

    runs = f"{len(plan.runs)} runs ({counts(pd.Series([p.state for p in plan.runs]))})"
    new = sum(p.new_steps for p in plan.runs)
    if not new:
        return f"{runs}: nothing is left to train."
    flops = sum(p.run.C * p.new_steps / p.run.steps for p in plan.runs)
    return (
        f"{runs}: {new:,} new steps, {flops:.2e} FLOPs; "
        f"{sum(p.run.steps for p in plan.runs) - new:,} steps are shared or done. Predicted "
        f"{duration(sum(p.seconds for p in plan.runs))} of training, "
        f"{duration(finish_seconds(plan, workers))} on {workers} worker(s)."
    )


VERBS = {
    "plan": Verb("show a study's runs, their cost and what is confounded; train nothing",
                 "scaling plan study=quickstart [key=value ...]", plan_verb),
    "launch": Verb("train what a study still lacks",
                   "scaling launch study=quickstart [launch=inline] [key=value ...]", launch_verb),
}
