"""Rounds of training until a target is known: choose runs, add them to the study, train, fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from scalinglab import analysis
from scalinglab.analysis.forecasts import track
from scalinglab.candidate_runs import (
    ChoiceOptions,
    blocks_of,
    candidate_runs,
    finished_runs,
    say_widened,
    show_chosen,
)
from scalinglab.launch_result import DetachedLaunch, LaunchResult
from scalinglab.options import option
from scalinglab.prepare import launch_config
from scalinglab.probe_results import Probed, Withdrawn
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within
from scalinglab.scaling.probes.folder import results
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.store.probe_questions import ProbeQuestion, read_questions
from scalinglab.terminal import Screen
from scalinglab.verb import INTERRUPTED

if TYPE_CHECKING:
    from scalinglab.analysis.decisions.reach_target import ReachResult
    from scalinglab.analysis.decisions.target import Target
    from scalinglab.plan_view import PlanView
    from scalinglab.source import StudySource


@dataclass(frozen=True, kw_only=True)
class ReachOptions(ChoiceOptions):
    """Options of an approach to a target."""

    runs: int = option("largest number of runs per round", 4, Within(1))
    plan: bool = option(
        "show the whole plan of the study in every round, not only in the first", False
    )


@dataclass(frozen=True)
class ReachAnswer:
    """The rounds of training for a target, and their end.

    Attributes
    ----------
    target : str
        What was asked.
    approach : ReachResult or None
        The rounds, and why they ended; None after an interrupt.
    calibration_factor : float
        Factor by which the record of earlier forecasts widened the target's interval.
    history : list of dict
        One row per fit: value and interval of the target, and device-hours spent.
    warnings : tuple of str
        Of all fits, each once.
    """

    target: str
    approach: ReachResult | None
    calibration_factor: float = 1.0
    history: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()

    @property
    def code(self) -> int:
        """0 if the target is known as well as was asked."""
        if self.approach is None:
            return INTERRUPTED
        return 0 if self.approach.reached else 1

    def as_json(self) -> dict[str, Any]:
        """The rounds, and why they ended."""
        return {
            "target": self.target,
            "why": "interrupted" if self.approach is None else self.approach.why,
            "reached": self.approach is not None and self.approach.reached,
            "history": self.history,
            "inflation": self.calibration_factor,
            "warnings": self.warnings,
        }

    def show(self, screen: Screen) -> None:
        """Why the rounds ended; each round was shown when it was trained."""
        if self.approach is not None:
            say_widened(screen, self.calibration_factor)
            screen.say(
                self.approach.why if self.approach.reached else f"not reached: {self.approach.why}"
            )


class GrowingStudy(Protocol):
    """What rounds call on a study; `scalinglab.study.Study`, which imports this file, has it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def outputs(self) -> Path:
        """The folder of all runs."""

    @property
    def source(self) -> StudySource:
        """The stored runs."""

    def compose(self, *overrides: str) -> dict[str, Any]:
        """The whole configuration."""

    def added(self) -> dict[str, Any]:
        """The blocks that were added after the study was written."""

    def add_blocks(self, blocks: Mapping[str, Any]) -> None:
        """Add blocks that are known to be trainable."""

    def launch(
        self, *overrides: str, on_plan: Callable[[PlanView], None] = ...
    ) -> LaunchResult | DetachedLaunch:
        """Train what is missing."""

    @property
    def probe(self) -> Callable[..., Probed | Withdrawn]:
        """Read checkpoints of its finished runs."""


class _Interrupted(Exception):
    """A launch was interrupted, and said so."""


def reach(study: GrowingStudy, options: ReachOptions, screen: Screen) -> ReachAnswer:
    """Choose runs, add and train them, and fit again, until a target is known.

    Raises
    ------
    ConfigError
        If the target has no tolerance (``within``); else as `Study.launch`.
    """
    target = analysis.read_target(options.target)
    if target.within is None:
        raise ConfigError(
            f"target = {options.target!r} says not how well: end it with 'within 0.5%'"
        )
    composed = study.compose()
    _refuse_unwatched(launch_config(composed))
    runs, law = finished_runs(study.source, options.law, options.loss)
    widens = (
        options.widen and options.loss is None
    )  # earlier forecasts were of the runs' own losses
    factor = track.calibration_factor(study.outputs, study.name, options.level) if widens else 1.0
    planned = candidate_runs(composed, options.grid)
    if planned.note:
        screen.say(planned.note)
    if options.loss is not None:
        screen.say(f"the loss is {options.loss}")
    rounds = _Rounds(study, options, target, screen)
    try:
        reached = analysis.reach_target(
            runs,
            planned.table,
            rounds.train,
            target,
            law=law,
            budget=options.budget,
            each=options.runs,
            tell=rounds.tell,
            warn=rounds.warn,
            level=options.level,
            calibration_factor=factor,
            resamples=options.resamples,
            seed=options.seed,
            delta=study.source.delta,
            exclude=options.exclude,
            mix_fingerprints=options.mix_fingerprints,
        )
    except _Interrupted:
        return ReachAnswer(
            options.target, None, history=rounds.history, warnings=tuple(rounds.warnings)
        )
    factor = target.calibration_factor(reached.result)
    history = reached.history.to_dict("records")
    return ReachAnswer(options.target, reached, factor, history, tuple(rounds.warnings))


def _refuse_unwatched(config: LaunchConfig) -> None:
    """Each round waits for its runs: a launch that is not waited for cannot be one."""
    for key, value, needed in (("detach", config.detach, False), ("watch", config.watch, True)):
        if value is not needed:
            raise ConfigError(
                f"launch.{key} = {str(value).lower()}: scaling reach waits for the runs of each"
                f" round; allowed is {str(needed).lower()}"
            )


def _question_about(study: GrowingStudy, column: str | None) -> ProbeQuestion | None:
    """The question that probes answered with a column; None if training measures it."""
    for question in read_questions(study.outputs, study.name) if column else []:
        for folder in question.folders(study.outputs):
            for answer in results(folder.run):
                if answer.key == question.folder_name and column in answer.table_columns:
                    return question
    return None


class _Rounds:
    """Trains the runs of each round and shows them."""

    def __init__(
        self, study: GrowingStudy, options: ReachOptions, target: Target, screen: Screen
    ) -> None:
        self.study, self.asked, self.target, self.screen = study, options, target, screen
        self.begun = 0
        self.history: list[dict[str, Any]] = []
        self.warnings: list[str] = []

    def warn(self, sentences: Sequence[str]) -> None:
        """Show what a fit warns of, as far as no earlier one did."""
        for sentence in sentences:
            if sentence not in self.warnings:
                self.warnings.append(sentence)
                self.screen.say(f"! {sentence}", style="yellow")

    def tell(self, row: dict[str, Any]) -> None:
        """Show the target's interval, the wanted precision, and the device-hours spent."""
        self.history.append(row)
        of = "" if self.asked.hours is None else f" of {self.asked.hours:.3g}"
        interval = (
            f" ({row['lower']:.4g} to {row['upper']:.4g}), known within {row['half_width']:.2%}"
        )
        self.screen.say(
            f"{row['runs']} runs: {self.target.in_words} = {row['value']:.4g}"
            f"{', without interval' if math.isnan(row['half_width']) else interval},"
            f" wanted {self._wanted(row['tolerance'])}; {row['spent']:.3g}{of}"
            " device-hours spent"
        )

    def _wanted(self, tolerance: float) -> str:
        assert self.target.within is not None  # `reach` refuses a target without it
        share = f"{100 * self.target.within:.3g}%"
        return f"{tolerance:.2%} ({share} of compute)" if self.target.of_compute else share

    def train(self, chosen: pd.DataFrame) -> pd.DataFrame:
        """Add the chosen runs to the study, launch it, and read all that it fits."""
        self.begun += 1
        runs = "1 run" if len(chosen) == 1 else f"{len(chosen)} runs"
        hours = chosen["cost"].sum()
        self.screen.say(f"\nround {self.begun}: {runs}, {hours:.3g} device-hours")
        show_chosen(self.screen, chosen.drop(columns="spent"))
        self.study.add_blocks(blocks_of(chosen, tuple(self.study.added())))
        ended = self.study.launch(on_plan=self._show_plan)
        if ended.code == INTERRUPTED:
            raise _Interrupted
        if ended.code or isinstance(ended, DetachedLaunch):
            ended.show(self.screen)
            raise ConfigError(
                f"the launch of {self.study.name} did not train all runs: fix what it names and "
                "run scaling reach again"
            )
        self._probe()
        return finished_runs(self.study.source, self.asked.law, self.asked.loss)[0]

    def _probe(self) -> None:
        """Probe the new runs, where the loss is a number of a probe."""
        question = _question_about(self.study, self.asked.loss)
        if question is None:
            return
        probed = self.study.probe(probe=question.probe, options=dict(question.options))
        if probed.code == INTERRUPTED:
            raise _Interrupted
        if probed.code:
            probed.show(self.screen)
            raise ConfigError(
                f"not all runs of {self.study.name} have {self.asked.loss}: fix what is named and"
                " run scaling reach again"
            )

    def _show_plan(self, plan: PlanView) -> None:
        if self.begun == 1 or self.asked.plan:
            plan.show(self.screen)
