"""``scaling launch``: train a study."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.launch_result import DetachedLaunch, LaunchResult
from scalinglab.options import Options, overrides
from scalinglab.study import Study
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True)
class LaunchOptions(Options):
    """Options of ``scaling launch``."""

    overrides: list[str] = overrides()


def run(options: LaunchOptions, screen: Screen) -> LaunchResult | DetachedLaunch:
    """Train the unfinished runs of a study: on a pool of workers, on SLURM, or inline.

    launch=local (the default), launch=slurm or launch=inline chooses.
    The plan is made and stored first. Ctrl-C saves all runs of a pool, and leaves jobs on SLURM
    running; run the same command to go on. launch.runs=failed retries the failed runs only.
    The exit code is 0 if all runs, or those of launch.runs, have ended (diverged ones have).
    """
    study = Study.of(options.overrides, screen)
    return study.launch(on_plan=lambda plan: plan.show_unfinished(screen))


VERB = Verb(
    "train the runs of a study that are not finished",
    "scaling launch study=quickstart [launch=local|slurm|inline] [key=value ...]",
    run,
    LaunchOptions,
)
