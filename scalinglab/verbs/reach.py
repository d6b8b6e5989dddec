"""``scaling reach``: train chosen runs until a target is known well enough."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.options import overrides
from scalinglab.source import StudyOptions
from scalinglab.study import Study
from scalinglab.terminal import Screen
from scalinglab.training_rounds import ReachAnswer, ReachOptions, reach
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class ReachVerbOptions(StudyOptions, ReachOptions):
    """Options of ``scaling reach``."""

    overrides: list[str] = overrides("an override for the study and its launches: launch=slurm")


def run(options: ReachVerbOptions, screen: Screen) -> ReachAnswer:
    """Train until a target is known: scaling reach study=NAME target='loss at C=1e13 within 1%'.

    Fits the study, chooses runs as scaling next does, adds them to the study for good, trains them
    and fits again, until the target is known as well as it says, hours= (device-hours, predicted)
    are spent, or no candidate tells more. Each round says how well the target is known, what is
    spent, and which runs are made next; the first, or with plan=true every round, also shows the
    study's whole plan. Run it again after an interrupt: finished runs are not retrained. launch=...
    and other overrides go to scaling launch. It trains, so it needs a study: for runs made
    elsewhere scaling next data=FILE names those of one round.
    """
    study = Study.of_file(options.study, options.outputs, options.overrides, screen)
    return reach(study, options, screen)


VERB = Verb(
    "train chosen runs until a target is known well enough",
    "scaling reach study=NAME target='loss at C=1e13 within 1%' [hours=1]",
    run,
    ReachVerbOptions,
)
