"""The verb that plans further runs by what they tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.as_json import print_json
from scalinglab.options import option
from scalinglab.scaling.config import ConfigError, check_study_name
from scalinglab.verb import Verb, open_console, say
from scalinglab.verbs.candidates import (
    ChoiceOptions,
    blocks_of,
    candidates,
    hours_asked,
    known_runs,
    read_choice,
    say_widened,
    show_chosen,
)

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class NextOptions(ChoiceOptions):
    """Options of ``scaling next``."""

    to: str | None = option("a study to write, conf/study/NAME.yaml", None)


def next_verb(arguments: Sequence[str]) -> int:
    """Choose the runs that tell most: scaling next study=NAME target='loss at C=1e13 within 1%'.

    The target is the loss at a budget's best split (C=...), at a point (N=... D=...), the best N or
    D at a budget, or a parameter of the law. Candidates are the study's sizes and tokens, and
    those one step beyond as far as the data reach, or grid.KEY=[...]; each is costed in
    device-hours as plan does. hours= bounds what may be spent. to=conf/study/more.yaml writes a
    study that scaling launch accepts: the old one with the new runs.
    """
    from scalinglab.analysis.reporting.facts import facts_of_next

    options, overrides = read_choice(NextOptions, arguments)
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


def _choose(options: ChoiceOptions, overrides: list[str]) -> Any:
    from scalinglab import analysis
    from scalinglab.analysis.forecasts.track import calibrated

    target, hours = analysis.read_target(options.target), hours_asked(options)
    known, law = known_runs(options)
    could = candidates(options, overrides)
    result = analysis.fit(
        law,
        known,
        resamples=options.resamples,
        seed=options.seed,
        level=options.level,
        mix_fingerprints=options.mix_fingerprints,
    )
    if options.widen:
        result = calibrated(result, options.outputs, options.study)
    return analysis.choose_next(
        result, target, could, budget=hours, most=options.runs, level=options.level
    )


def _check_file(to: str) -> None:
    if Path(to).suffix != ".yaml" or Path(to).parent.name != "study":
        raise ConfigError(f"to = {to!r}: a study's file is conf/study/NAME.yaml")
    check_study_name("to: NAME", Path(to).stem)


def _write_study(path: Path, study: str, table: pd.DataFrame) -> None:
    """The old study with the new runs, a line each (JSON is YAML)."""
    import json

    from scalinglab.scaling.records.atomic import write_atomic

    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = "".join(
        f"    {name}: {json.dumps(block)}\n" for name, block in blocks_of(table).items()
    )
    write_atomic(
        path.absolute(),
        (
            "# @package _global_\n"
            f"# {study} and the runs that scaling next chose.\n"
            f"defaults:\n  - {study}\n  - _self_\n"
            f"study:\n  name: {path.stem}\n  blocks:\n{blocks}"
        ),
    )


def _show(found: Any, options: NextOptions) -> None:
    console = open_console()
    if len(found.table):
        show_chosen(console, found.table)
    say(
        console,
        f"{options.target}: known within {found.now:.2%}, expected after these "
        f"{len(found.table)} runs: {found.then:.2%}",
    )
    say_widened(console, found.calibration_factor)
    if not len(found.table):
        say(console, "! no affordable candidate tells more about it", style="yellow")
    if options.to is not None:
        say(console, f"written: scaling launch study={Path(options.to).stem}")


VERBS = {
    "next": Verb(
        "choose the runs that tell most about a target for their cost",
        "scaling next study=NAME target='loss at C=1e13 within 1%' [hours=1 to=FILE]",
        next_verb,
        NextOptions,
    ),
}
