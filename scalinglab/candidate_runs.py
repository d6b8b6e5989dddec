"""Candidate runs: planned runs with their cost, among which the next ones are chosen.

``scaling next`` chooses some of them once, ``scaling reach`` round after round.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scalinglab.analysis.intervals.spread import calibration_in_words
from scalinglab.analysis.tables.fitted import fitted_runs
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.analysis.tables.runs import FLOPS
from scalinglab.options import RESAMPLES, IntervalOptions, VersionOptions, option
from scalinglab.run_options import LossOptions
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, Within
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.source import StudySource
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.cluster_timing import timing_target
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.timing import with_seconds
from scalinglab.sweeps.study.added import with_added
from scalinglab.sweeps.study.beyond import axes_beyond

if TYPE_CHECKING:
    from scalinglab.sweeps.plan.plan import Plan
    from scalinglab.terminal import Screen

BLOCK = "next"


@dataclass(frozen=True, kw_only=True)
class ChoiceOptions(IntervalOptions, VersionOptions, LossOptions):
    """Options of a choice of runs: the target, what may be spent, and the candidates."""

    target: str = option("the question: 'loss at C=1e13 within 1%', 'N at C=1e13', 'alpha'")
    law: str | None = option("the law to fit; default: that of the study", None)
    hours: float | None = option(
        "device-hours to spend, as predicted; default: no limit", None, ABOVE_0
    )
    runs: int = option("largest number of runs", 8, Within(1))
    grid: dict[str, Any] = option("axes of the candidate runs: grid.model.width=[96]", {})
    resamples: int = option("bootstrap refits for the intervals", 1000, RESAMPLES)
    exclude: list[str] = option(
        "runs to leave out, by name (unmeasured) or condition: 'exclude=[unmeasured,D < 1e9]'", []
    )
    widen: bool = option("widen the interval of a loss by how wrong earlier forecasts were", True)

    @property
    def budget(self) -> float:
        """Device-hours; infinite without a limit."""
        return float("inf") if self.hours is None else self.hours


@dataclass(frozen=True)
class CandidateRuns:
    """Candidate runs.

    Attributes
    ----------
    table : DataFrame
        Index run_id: ``N, D``, ``cost`` in device-hours if it is trained alone, ``width, depth,
        tokens, seed``. Runs that are trained already are left out.
    note : str
        Why runs on more tokens are not among them, if nobody named the axes; else empty.
    """

    table: pd.DataFrame
    note: str = ""


def finished_runs(
    source: StudySource, law: str | None = None, loss: str | None = None
) -> tuple[pd.DataFrame, str]:
    """The finished runs that a study fits, and the law: `law`, or else the study's own.

    `loss` names a measured column that is taken as the loss of these runs.
    """
    return fitted_runs(source.outputs, source.name, law, flops=FLOPS, loss=loss)


def candidate_runs(
    composed: Mapping[str, Any], grid: Mapping[str, Any] | None = None
) -> CandidateRuns:
    """Plan the candidate runs, with the cost of each.

    Parameters
    ----------
    composed : mapping
        The configuration with the study.
    grid : mapping, optional
        Axes of the runs; default: the widths, tokens and seeds of the study and one step beyond.

    Raises
    ------
    ConfigError
        If a run cannot be trained, its cost cannot be predicted, or all runs are trained already.
    """
    composed = with_added(composed)
    plan, note = (_planned(composed, grid), "") if grid else _around(composed)
    rows = [
        {
            "N": p.run.counts["n_matmul"],
            "D": p.run.tokens,
            "cost": p.seconds * plan.execution.processes / 3600,
            "width": p.run.shape.width,
            "depth": p.run.shape.depth,
            "tokens": p.run.tokens,
            "seed": p.run.config.seed,
            "run_id": p.run.run_id,
        }
        for p in plan.runs
        if p.new_steps
    ]
    if not rows:
        raise ConfigError(
            "every candidate is trained already; give others, as in "
            "'grid.model.width=[96]' 'grid.tokens=[4194304]'"
        )
    return CandidateRuns(pd.DataFrame(rows).set_index("run_id"), note)


def _planned(composed: Mapping[str, Any], grid: Mapping[str, Any]) -> Plan:
    """The runs of a grid in place of the study's, with what they cost."""
    study = {"name": BLOCK, "question": "", "blocks": {BLOCK: {"role": "fit", "grid": dict(grid)}}}
    # A person's own study may have this name: blocks added to that one are no candidates.
    # Each candidate is priced alone: a trunk that it would share may not be among the chosen runs.
    plan = make_plan({**composed, "study": study}, added=False, shared=False)
    config = from_dict(LaunchConfig, composed["launch"], "launch")
    if config.measure == "off":
        raise ConfigError(
            "launch.measure = off: candidates are chosen by their cost; allowed here "
            "are auto, here and target"
        )
    target = replace(timing_target(config, plan.execution, plan.outputs), required=True)
    return with_seconds(plan, target)


def _around(composed: Mapping[str, Any]) -> tuple[Plan, str]:
    """The study's widths, tokens and seeds and one step beyond; why no tokens beyond, if none.

    Twice the tokens may be more than the data allow, which nobody asked for.
    """
    grid = axes_beyond(composed)
    try:
        return _planned(composed, grid), ""
    except ConfigError as error:
        *tokens, _ = grid["tokens"]
        plan = _planned(composed, grid | {"tokens": tokens})  # or what is wrong with any of them
        return plan, f"no candidate has more than {tokens[-1]:,} tokens: {error.__cause__ or error}"


def blocks_of(chosen: pd.DataFrame, taken_names: Sequence[str] = ()) -> dict[str, Any]:
    """One block of a study for each chosen run, under names that are free."""
    blocks: dict[str, Any] = {}
    count = 0
    for row in chosen.to_dict("records"):
        while (name := f"{BLOCK}_{(count := count + 1)}") in taken_names:
            pass
        model = {"width": [int(row["width"])], "depth": [int(row["depth"])]}
        blocks[name] = {
            "role": "fit",
            "grid": {"model": model, "tokens": [int(row["tokens"])], "seed": [int(row["seed"])]},
        }
    return blocks


def write_study(path: Path, study: str, chosen: pd.DataFrame) -> None:
    """Write a study's file that has the runs of another and the chosen ones.

    Parameters
    ----------
    path : Path
        ``conf/study/NAME.yaml``; NAME is the new study's.
    study : str
        The study that it extends.
    chosen : DataFrame
        Rows of candidates.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = "".join(  # JSON is YAML
        f"    {name}: {json.dumps(block)}\n" for name, block in blocks_of(chosen).items()
    )
    write_atomic(
        path.absolute(),
        "# @package _global_\n"
        f"# {study} and the runs that scaling next chose.\n"
        f"defaults:\n  - {study}\n  - _self_\n"
        f"study:\n  name: {path.stem}\n  blocks:\n{blocks}",
    )


def show_chosen(screen: Screen, chosen: pd.DataFrame, unit: str = "hours") -> None:
    """Print the chosen runs with their cost and the expected precision of the target after each."""
    table = with_intervals(chosen.drop(columns="tokens", errors="ignore"))
    table["N"], table["D"] = ([f"{v:,.0f}" for v in chosen[c]] for c in ("N", "D"))
    table = table.rename(
        columns={"cost": unit, "spent": f"total {unit}", "half_width": "expected precision"}
    )
    if chosen.index.name == "run_id":
        table.insert(0, "run", chosen.index)
    screen.table(table, optional=(f"total {unit}", "depth"))


def say_widened(screen: Screen, factor: float) -> None:
    """Say by which factor earlier forecasts widened the target's interval, if they did."""
    if factor > 1:
        screen.say(f"the interval of the target is {calibration_in_words(factor)}")
