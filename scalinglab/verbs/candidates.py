"""What ``scaling next`` and ``scaling reach`` share: their options, and the runs they choose of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scalinglab.options import LEVEL, RESAMPLES, SEED, option
from scalinglab.scaling.config import ConfigError
from scalinglab.verb import open_console, say

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.sweeps.plan.plan import Plan
    from scalinglab.terminal import Screen

BLOCK = "next"


@dataclass(frozen=True)
class ChoiceOptions:
    """Options of the verbs that choose runs; further arguments are overrides of the study."""

    study: str = option("the study to which runs are added")
    target: str = option("what is asked: 'loss at C=1e13 within 1%', 'N at C=1e13', 'alpha'")
    law: str | None = option("the study's own if not given", None)
    hours: float | None = option("device-hours to spend, as predicted; no bound if not given", None)
    runs: int = option("at most so many", 8)
    grid: dict[str, Any] = option("axes of the runs that could be made: grid.model.width=[96]", {})
    outputs: str = option("the folder of all runs", "outputs")
    resamples: int = option("refits for the intervals", 1000, RESAMPLES)
    seed: int = option("of the resamples", 0, SEED)
    level: float = option("of the intervals", 0.95, LEVEL)
    widen: bool = option("widen the interval of a loss by the record of earlier forecasts", True)
    mix_fingerprints: bool = option("take runs of several versions of the code together", False)
    json: bool = option("print one JSON object; --json says the same", False)


def read_choice(cls: type, arguments: Sequence[str]) -> tuple[Any, list[str]]:
    """The verb's own options, and the overrides of the study."""
    from scalinglab.options import read_options, split_options

    mine, overrides = split_options(cls, arguments)
    options = read_options(cls, mine)
    if options.runs < 1:
        raise ConfigError(f"runs = {options.runs}: allowed is 1 or more")
    return options, [f"study={options.study}", f"outputs={options.outputs}", *overrides]


def hours_asked(options: ChoiceOptions) -> float:
    """The budget in device-hours."""
    if options.hours is not None and not options.hours > 0:
        raise ConfigError(f"hours = {options.hours}: allowed is above 0 (device-hours)")
    return float("inf") if options.hours is None else options.hours


def known_runs(options: ChoiceOptions) -> tuple[pd.DataFrame, str]:
    """The runs that the study has finished to be fitted, and the law."""
    from scalinglab import analysis
    from scalinglab.analysis.tables.runs import FLOPS, require

    answer = analysis.study_plan(options.outputs, options.study).study.answer
    runs = analysis.load(options.outputs, study=options.study, role="fit", flops=FLOPS)
    return require(runs, options.outputs, options.study, "fit"), options.law or answer.law


def candidates(options: ChoiceOptions, overrides: list[str]) -> pd.DataFrame:
    """Runs that could be made, with N, D and cost in device-hours; those made are left out."""
    import pandas as pd

    from scalinglab.compose import compose
    from scalinglab.sweeps.study.added import with_added

    composed = with_added(compose(overrides))
    if options.grid:
        plan = _planned(composed, options.grid)
    else:
        plan, left_out = _around(composed)
        if left_out and not options.json:
            say(open_console(), left_out)
    rows = [
        {
            "N": p.run.counts["n_matmul"],
            "D": p.run.tokens,
            "cost": p.seconds / 3600,
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
    return pd.DataFrame(rows).set_index("run_id")


def _planned(composed: dict[str, Any], grid: dict[str, Any]) -> Plan:
    """The runs of a grid in place of the study's, with what they cost."""
    from scalinglab.scaling.config import from_dict
    from scalinglab.sweeps.config import LaunchConfig
    from scalinglab.sweeps.launch.cluster_timing import timing_target
    from scalinglab.sweeps.plan.make import make_plan
    from scalinglab.sweeps.plan.timing import with_seconds

    study = {"name": BLOCK, "question": "", "blocks": {BLOCK: {"role": "fit", "grid": grid}}}
    plan = make_plan({**composed, "study": study})
    config = from_dict(LaunchConfig, composed["launch"], "launch")
    if config.measure == "off":
        raise ConfigError(
            "launch.measure = off: candidates are chosen by their cost; allowed here "
            "are auto, here and target"
        )
    target = replace(timing_target(config, plan.execution, plan.outputs), required=True)
    return with_seconds(plan, target)


def _around(composed: dict[str, Any]) -> tuple[Plan, str]:
    """The study's widths, tokens and seeds and one step beyond; why no tokens beyond, if none.

    Twice the tokens may be more than the data allow, which nobody asked for.
    """
    grid = _beyond(composed)
    try:
        return _planned(composed, grid), ""
    except ConfigError as error:
        *tokens, _ = grid["tokens"]
        plan = _planned(composed, grid | {"tokens": tokens})  # or what is wrong with any of them
        return plan, f"no candidate has more than {tokens[-1]:,} tokens: {error.__cause__ or error}"


def _beyond(composed: dict[str, Any]) -> dict[str, Any]:
    """The axes of the widths, tokens and seeds that the study fits, and one step beyond."""
    from scalinglab.sweeps.study.study import read_study

    fitted = [w.config for w in read_study(composed)[1] if w.role == "fit"]
    widths = sorted({c.model.width for c in fitted if c.model.width})
    tokens = sorted({c.tokens for c in fitted})
    if not widths:
        raise ConfigError(
            "the study's widths follow its depths: give the candidates' axes, as in "
            "'grid.model.depth=[2,4]' 'grid.tokens=[4194304]'"
        )
    head = max(c.model.head_dim for c in fitted)
    larger = round(widths[-1] * 1.4 / head) * head
    return {
        "model": {"width": sorted({*widths, larger})},
        "tokens": [*tokens, 2 * tokens[-1]],
        "seed": sorted({c.seed for c in fitted}),
    }


def blocks_of(chosen: pd.DataFrame, taken: Sequence[str] = ()) -> dict[str, Any]:
    """One block of a study for each chosen run, under names that are free."""
    blocks: dict[str, Any] = {}
    count = 0
    for row in chosen.to_dict("records"):
        while (name := f"{BLOCK}_{(count := count + 1)}") in taken:
            pass
        model = {"width": [int(row["width"])], "depth": [int(row["depth"])]}
        blocks[name] = {
            "role": "fit",
            "grid": {"model": model, "tokens": [int(row["tokens"])], "seed": [int(row["seed"])]},
        }
    return blocks


def show_chosen(console: Screen, chosen: pd.DataFrame) -> None:
    """Print the chosen runs with what they cost, and how well the target is expected to be known
    after each."""
    from scalinglab.analysis.reporting.answer import with_intervals

    shown = with_intervals(chosen.drop(columns="tokens"))
    shown["N"], shown["D"] = ([f"{v:,.0f}" for v in chosen[c]] for c in ("N", "D"))
    shown = shown.rename(
        columns={"cost": "hours", "spent": "hours so far", "half_width": "then known within"}
    )
    shown.insert(0, "run", chosen.index)
    console.table(shown, optional=("hours so far", "depth"))


def say_widened(console: Screen, inflation: float) -> None:
    """Say by what the record of forecasts widened the target's interval, where it did."""
    from scalinglab.analysis.intervals.spread import calibration_in_words

    if inflation > 1:
        say(console, f"its interval is {calibration_in_words(inflation)}")
