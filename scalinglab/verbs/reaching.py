"""The verb that makes runs until enough is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.as_json import print_json
from scalinglab.candidates import (
    ChoiceOptions,
    blocks_of,
    candidates,
    known_runs,
    say_widened,
    show_chosen,
)
from scalinglab.compose import compose
from scalinglab.options import option, read_options, split_options
from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.fields import Within
from scalinglab.source import StudyOptions
from scalinglab.verb import INTERRUPTED, Interrupted, Verb, open_console, say

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.analysis.decisions.target import Target
    from scalinglab.terminal import Screen


@dataclass(frozen=True, kw_only=True)
class ReachOptions(StudyOptions, ChoiceOptions):
    """Options of ``scaling reach``."""

    runs: int = option("largest number of runs per round", 4, Within(1))
    plan: bool = option(
        "show the whole plan of the study in every round, not only in the first", False
    )


def reach_verb(arguments: Sequence[str]) -> int:
    """Train until a target is known: scaling reach study=NAME target='loss at C=1e13 within 1%'.

    Fits the study, chooses runs as scaling next does, adds them to the study for good, trains them
    and fits again, until the target is known as well as it says, hours= (device-hours, predicted)
    are spent, or no candidate tells more. Each round says how well the target is known, what is
    spent, and which runs are made next; the first, or with plan=true every round, also shows the
    study's whole plan. Give it again after an interrupt: what was trained is there. launch=... and
    other overrides go to scaling launch.
    """
    from scalinglab import analysis
    from scalinglab.analysis.forecasts.track import calibration_factor

    mine, overrides = split_options(ReachOptions, arguments)
    options = read_options(ReachOptions, mine)
    overrides = [f"study={options.study}", f"outputs={options.outputs}", *overrides]
    target = analysis.read_target(options.target)
    if target.within is None:
        raise ConfigError(
            f"target = {options.target!r} says not how well: end it with 'within 0.5%'"
        )
    known, law = known_runs(options.source, options.law)
    wider = (
        calibration_factor(options.outputs, options.study, options.level) if options.widen else 1.0
    )
    rounds = _Rounds(options, overrides, target)
    could = candidates(compose(overrides), options.grid)
    if could.note and not options.json:
        say(rounds.console, could.note)
    found = analysis.reach_target(
        known,
        could.table,
        rounds.train,
        target,
        law=law,
        budget=options.budget,
        each=options.runs,
        tell=rounds.tell,
        level=options.level,
        calibration_factor=wider,
        resamples=options.resamples,
        seed=options.seed,
        mix_fingerprints=options.mix_fingerprints,
    )
    if options.json:
        print_json(
            {
                "target": options.target,
                "why": found.why,
                "reached": found.reached,
                "history": found.history,
                "inflation": target.calibration_factor(found.result),
            }
        )
    else:
        say_widened(rounds.console, target.calibration_factor(found.result))
        say(rounds.console, found.why if found.reached else f"not reached: {found.why}")
    return 0 if found.reached else 1


class _Rounds:
    """The rounds of one command: what is trained in each, and what is said of it."""

    def __init__(self, options: ReachOptions, overrides: list[str], target: Target) -> None:
        self.options, self.overrides, self.target = options, overrides, target
        self.console: Screen = open_console()
        self.begun = 0

    def tell(self, row: dict[str, Any]) -> None:
        """How well the target is known, what is wanted, and what is spent."""
        if self.options.json:
            return
        of = "" if self.options.hours is None else f" of {self.options.hours:.3g}"
        told = f" ({row['lower']:.4g} to {row['upper']:.4g}), known within {row['half_width']:.2%}"
        say(
            self.console,
            f"{row['runs']} runs: {self.target.in_words} = {row['value']:.4g}"
            f"{', without interval' if math.isnan(row['half_width']) else told},"
            f" wanted {100 * self.target.within:.3g}%; {row['spent']:.3g}{of}"
            " device-hours spent",
        )

    def train(self, chosen: pd.DataFrame) -> pd.DataFrame:
        """Add the chosen runs to the study, launch it, and read all that it fits."""
        self.begun += 1
        if not self.options.json:
            runs = "1 run" if len(chosen) == 1 else f"{len(chosen)} runs"
            say(
                self.console,
                f"\nround {self.begun}: {runs}, {chosen['cost'].sum():.3g} device-hours",
            )
            show_chosen(self.console, chosen.drop(columns="spent"))
        _add(self.options, chosen)
        whole = self.begun == 1 or self.options.plan
        code = _launch(self.overrides, whole, quiet=self.options.json)
        if code == INTERRUPTED:
            raise Interrupted
        if code:
            raise ConfigError(
                f"scaling launch study={self.options.study} ended with code {code}:"
                " mend what it says, and give scaling reach again"
            )
        return known_runs(self.options.source)[0]


def _add(options: ReachOptions, chosen: pd.DataFrame) -> None:
    """The chosen runs become part of the study for good."""
    from scalinglab.sweeps.study.added import add_block, read_added
    from scalinglab.sweeps.study.study import BlockConfig

    outputs = Path(options.outputs).absolute()
    for name, block in blocks_of(chosen, tuple(read_added(outputs, options.study))).items():
        add_block(outputs, options.study, name, BlockConfig(block["role"], block["grid"]))


def _launch(overrides: list[str], whole: bool, quiet: bool) -> int:
    """What ``scaling launch`` does; its words go to stderr where stdout is for JSON."""
    import contextlib
    import sys

    from scalinglab.verbs.launching import launch_study

    with contextlib.redirect_stdout(sys.stderr if quiet else sys.stdout):
        return launch_study(overrides, show_plan=whole)


VERBS = {
    "reach": Verb(
        "train chosen runs until a target is known well enough",
        "scaling reach study=NAME target='loss at C=1e13 within 1%' [hours=1]",
        reach_verb,
        ReachOptions,
    ),
}
