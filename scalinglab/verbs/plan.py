"""``scaling plan``: the runs that a study would train, and their cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.analysis.reporting.schedules import DECAY
from scalinglab.options import Options, option, overrides
from scalinglab.plan_view import PlanView
from scalinglab.study import Study
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True)
class PlanOptions(Options):
    """Options of ``scaling plan``."""

    schedules: bool = option("draw the learning-rate schedules, too", False)
    overrides: list[str] = overrides()


@dataclass(frozen=True)
class PlanResult:
    """A plan, and its schedules if they were drawn."""

    view: PlanView
    schedules: pd.DataFrame | None = None
    picture: Path | None = None
    unwritten: OSError | None = None

    code = 0

    def as_json(self) -> dict[str, Any]:
        """The plan, and the areas of the schedules."""
        drawn = {} if self.schedules is None else {"schedules": self.schedules}
        return {**self.view.as_json(), **drawn, "picture": self.picture}

    def show(self, screen: Screen) -> None:
        """The plan, the expected precision of its fit, and the schedules."""
        self.view.show(screen)
        if self.view.expected is not None:
            screen.say(self.view.expected.sentence())
        if self.schedules is not None:
            frame = self.schedules.copy()
            for name in ("peak", "S1", "S2"):
                frame[name] = [f"{value:.4g}" for value in frame[name]]
            screen.table(frame, optional=("peak", "rate"))
            screen.say(f"S2 with lambda = {DECAY}; drawn in {self.picture}")


def run(options: PlanOptions, screen: Screen) -> PlanResult:
    """Show every run of a study with N, D, C, LR, shared steps, pack and predicted seconds.

    Checks the whole study and its design first; trains nothing. The step time of each new shape
    is measured for about a second, on this machine or, where the runs need GPUs of a cluster, in
    a short job there; launch.measure=here, target or off decides.
    --schedules also draws the schedules, with their areas S1 and S2, here and as a PNG.
    """
    view = Study.of(options.overrides, screen).plan()
    try:
        return PlanResult(view, *(view.schedules() if options.schedules else ()))
    except OSError as error:  # of the picture
        return PlanResult(view, unwritten=error)


VERB = Verb(
    "show a study's runs, their cost and gaps in its design; train nothing",
    "scaling plan study=quickstart [--schedules] [key=value ...]",
    run,
    PlanOptions,
)
