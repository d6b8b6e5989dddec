"""The verbs that plan further runs by what they tell, and make them until enough is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling.config import ConfigError
from scaling.verbs.as_json import print_json
from scaling.verbs.options import option
from scaling.verbs.verb import INTERRUPTED, Verb, open_console, say

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

_BLOCK = "next"


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
    resamples: int = option("refits for the intervals", 1000)
    seed: int = option("of the resamples", 0)
    level: float = option("of the intervals", 0.95)
    widen: bool = option("widen the interval of a loss by the record of earlier forecasts", True)
    mix_fingerprints: bool = option("take runs of several versions of the code together", False)
    json: bool = option("print one JSON object; --json says the same", False)


@dataclass(frozen=True)
class NextOptions(ChoiceOptions):
    """Options of ``scaling next``."""

    to: str | None = option("a study to write, conf/study/NAME.yaml", None)


@dataclass(frozen=True)
class ReachOptions(ChoiceOptions):
    """Options of ``scaling reach``."""

    runs: int = option("at most so many a round", 4)


def next_verb(arguments: Sequence[str]) -> int:
    """Choose the runs that tell most: scaling next study=NAME target='loss at C=1e13 within 1%'.

    The target is the loss at a budget's best split (C=...), at a point (N=... D=...), the best N or
    D at a budget, or a parameter of the law. Candidates are the study's sizes and tokens, and
    those one step beyond, or grid.KEY=[...]; each is costed in device-hours as plan does. hours=
    bounds what may be spent. to=conf/study/more.yaml writes a study that scaling launch
    accepts: the old one with the new runs.
    """
    from analysis.reporting.facts import facts_of_next

    options, overrides = _read(NextOptions, arguments)
    if options.to is not None:
        _check_file(options.to)
    found = _choose(options, overrides)
    if options.to is not None:
        _write_study(Path(options.to), options.study, found.table)
    if options.json:
        print_json(facts_of_next(found) | {"target": options.target, "written": options.to})
        return 0
    _show(found, options)
    return 0


def reach_verb(arguments: Sequence[str]) -> int:
    """Train until a target is known: scaling reach study=NAME target='loss at C=1e13 within 1%'.

    Fits the study, chooses runs as scaling next does, adds them to the study for good, trains them
    and fits again, until the target is known as well as it says, hours= (device-hours, predicted)
    are spent, or no candidate tells more. Give it again after an interrupt: what was trained is
    there. launch=... and other overrides go to scaling launch.
    """
    import analysis
    from analysis.forecasts.track import widening

    options, overrides = _read(ReachOptions, arguments)
    target, hours = analysis.read_target(options.target), _hours(options)
    if target.within is None:
        raise ConfigError(f"target = {options.target!r} says not how well: end it with "
                          "'within 0.5%'")
    console = open_console()
    known, law = _known(options)
    wider = widening(options.outputs, options.study, options.level) if options.widen else 1.0

    def tell(row: dict[str, Any]) -> None:
        if not options.json:
            say(console, f"{row['runs']} runs, {row['spent']:.3g} device-hours: {target.of} = "
                         f"{row['value']:.4g} ({row['lower']:.4g} to {row['upper']:.4g}), known "
                         f"within {row['half_width']:.2%}")

    found = analysis.reach_target(
        known, _candidates(options, overrides), lambda rows: _train(options, overrides, rows),
        target, law=law, budget=hours, each=options.runs, tell=tell, level=options.level,
        inflation=wider, resamples=options.resamples, seed=options.seed,
        mix_fingerprints=options.mix_fingerprints,
    )  # fmt: skip
    if options.json:
        print_json({"target": options.target, "why": found.why, "reached": found.reached,
                    "history": found.history, "inflation": target.inflation(found.result)})
    else:
        _say_widened(console, target.inflation(found.result))
        say(console, found.why)
    return 0 if found.reached else 1


def _read(cls: type, arguments: Sequence[str]) -> tuple[Any, list[str]]:
    """The verb's own options, and the overrides of the study."""
    from scaling.verbs.options import read_options

    own = tuple(cls.__dataclass_fields__)
    mine = [a for a in arguments
            if a.startswith("--") or a.partition("=")[0].partition(".")[0] in own]
    options = read_options(cls, mine)
    overrides = [a for a in arguments if a not in mine]
    if options.runs < 1:
        raise ConfigError(f"runs = {options.runs}: allowed is 1 or more")
    return options, [f"study={options.study}", f"outputs={options.outputs}", *overrides]


def _hours(options: ChoiceOptions) -> float:
    if options.hours is not None and not options.hours > 0:
        raise ConfigError(f"hours = {options.hours}: allowed is above 0 (device-hours)")
    return float("inf") if options.hours is None else options.hours


def _known(options: ChoiceOptions) -> tuple[pd.DataFrame, str]:
    import analysis
    from analysis.reporting.answering import FLOPS

    answer = analysis.study_plan(options.outputs, options.study)["study"]["answer"]
    runs = analysis.load(options.outputs, study=options.study, role="fit", flops=FLOPS)
    if runs.empty:
        raise ConfigError(f"study {options.study!r} has no finished run to fit; scaling launch "
                          f"study={options.study}")
    return runs, options.law or answer["law"]


def _choose(options: ChoiceOptions, overrides: list[str]) -> Any:
    import analysis
    from analysis.forecasts.track import by_record

    target, hours = analysis.read_target(options.target), _hours(options)
    known, law = _known(options)
    candidates = _candidates(options, overrides)
    result = analysis.fit(law, known, resamples=options.resamples, seed=options.seed,
                          level=options.level, mix_fingerprints=options.mix_fingerprints)
    if options.widen:
        result = by_record(result, options.outputs, options.study)
    return analysis.choose_next(result, target, candidates, budget=hours, most=options.runs,
                                level=options.level)


def _candidates(options: ChoiceOptions, overrides: list[str]) -> pd.DataFrame:
    """Runs that could be made, with N, D and cost in device-hours; those made are left out."""
    import pandas as pd

    from scaling.compose import compose
    from sweeps.added import with_added
    from sweeps.cost import with_costs
    from sweeps.plan import make_plan

    composed = with_added(compose(overrides))
    grid = options.grid or _around(composed, overrides)
    study = {"name": _BLOCK, "question": "", "blocks": {_BLOCK: {"role": "fit", "grid": grid}}}
    plan = with_costs(make_plan({**composed, "study": study}))
    rows = [
        {"N": p.run.counts["n_matmul"], "D": p.run.tokens, "cost": p.seconds / 3600,
         "width": p.run.shape.width, "depth": p.run.shape.depth, "tokens": p.run.tokens,
         "seed": p.run.config.seed, "run_id": p.run.run_id}
        for p in plan.runs if p.new_steps
    ]  # fmt: skip
    if not rows:
        raise ConfigError("every candidate is trained already; give others, as in "
                          "'grid.model.width=[96]' 'grid.tokens=[4194304]'")
    return pd.DataFrame(rows).set_index("run_id")


def _around(composed: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The widths and tokens that the study fits, and one step beyond each."""
    from sweeps.study import read_study

    fitted = [w.config for w in read_study(composed)[1] if w.role == "fit"]
    widths = sorted({c.model.width for c in fitted if c.model.width})
    tokens = sorted({c.tokens for c in fitted})
    if not widths:
        raise ConfigError("the study's widths follow its depths: give the candidates' axes, as in "
                          "'grid.model.depth=[2,4]' 'grid.tokens=[4194304]'")
    head = max(c.model.head_dim for c in fitted)
    larger = round(widths[-1] * 1.4 / head) * head
    return {"model": {"width": sorted({*widths, larger})}, "tokens": [*tokens, 2 * tokens[-1]],
            "seed": sorted({c.seed for c in fitted})}


def _blocks(table: pd.DataFrame, taken: Sequence[str] = ()) -> dict[str, Any]:
    """One block for each run, under names that are free."""
    blocks: dict[str, Any] = {}
    count = 0
    for row in table.to_dict("records"):
        while (name := f"{_BLOCK}_{(count := count + 1)}") in taken:
            pass
        model = {"width": [int(row["width"])], "depth": [int(row["depth"])]}
        blocks[name] = {"role": "fit", "grid": {"model": model, "tokens": [int(row["tokens"])],
                                                "seed": [int(row["seed"])]}}
    return blocks


def _check_file(to: str) -> None:
    if Path(to).suffix != ".yaml" or Path(to).parent.name != "study":
        raise ConfigError(f"to = {to!r}: a study's file is conf/study/NAME.yaml")


def _write_study(path: Path, study: str, table: pd.DataFrame) -> None:
    """The old study with the new runs, a line each (JSON is YAML)."""
    import json

    from scaling.records.atomic import write_atomic

    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = "".join(f"    {name}: {json.dumps(block)}\n"
                     for name, block in _blocks(table).items())
    write_atomic(path.absolute(), (
        "# @package _global_\n"
        f"# {study} and the runs that scaling next chose.\n"
        f"defaults:\n  - {study}\n  - _self_\n"
        f"study:\n  name: {path.stem}\n  blocks:\n{blocks}"
    ))  # fmt: skip


def _train(options: ReachOptions, overrides: list[str], rows: pd.DataFrame) -> pd.DataFrame:
    """Add the runs to the study, launch it, and read all that it fits."""
    from sweeps.added import add_block, read_added
    from sweeps.study import BlockConfig

    outputs = Path(options.outputs).absolute()
    for name, block in _blocks(rows, tuple(read_added(outputs, options.study))).items():
        add_block(outputs, options.study, name, BlockConfig(block["role"], block["grid"]))
    code = _launch(overrides, quiet=options.json)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise ConfigError(f"scaling launch study={options.study} ended with code {code}: mend what "
                          "it says, and give scaling reach again")
    return _known(options)[0]


def _launch(overrides: list[str], quiet: bool) -> int:
    """What ``scaling launch`` does; its words go to stderr where stdout is for JSON."""
    import contextlib
    import sys

    from scaling.verbs.launching import launch_verb

    with contextlib.redirect_stdout(sys.stderr if quiet else sys.stdout):
        return launch_verb(overrides)


def _show(found: Any, options: NextOptions) -> None:
    from analysis.reporting.answer import with_intervals
    from sweeps.show import table

    console = open_console()
    if len(found.table):
        shown = with_intervals(found.table.drop(columns="tokens"))
        shown["N"], shown["D"] = ([f"{v:,.0f}" for v in found.table[c]] for c in ("N", "D"))
        console.print(table(shown.rename(columns={
            "cost": "hours", "spent": "hours so far", "half_width": "then known within",
        }), console.width, ("hours so far", "depth")))
    say(console, f"{options.target}: known within {found.now:.2%}, expected after these "
                 f"{len(found.table)} runs: {found.then:.2%}")
    _say_widened(console, found.inflation)
    if not len(found.table):
        say(console, "! no affordable candidate tells more about it", style="yellow")
    if options.to is not None:
        say(console, f"written: scaling launch study={Path(options.to).stem}")


def _say_widened(console: Console, inflation: float) -> None:
    from analysis.intervals.spread import in_words

    if inflation > 1:
        say(console, f"its interval is {in_words(inflation)}")


VERBS = {
    "next": Verb("choose the runs that tell most about a target for their cost",
                 "scaling next study=NAME target='loss at C=1e13 within 1%' [hours=1 to=FILE]",
                 next_verb, NextOptions),
    "reach": Verb("train chosen runs until a target is known well enough",
                  "scaling reach study=NAME target='loss at C=1e13 within 1%' [hours=1]",
                  reach_verb, ReachOptions),
}
