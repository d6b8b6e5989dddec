"""``scaling add``: more runs for a study."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from scalinglab.options import OutputsOptions, option, overrides
from scalinglab.plan_view import PlanView
from scalinglab.study import Study
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class AddOptions(OutputsOptions):
    """Options of ``scaling add``."""

    study: str = option("the study that gets the runs")
    block: str = option("a new name for the runs")
    role: str = option("what the runs are for: fit, held_out, curve or sweep", "fit")
    grid: dict[str, Any] = option("axes: 'grid.model.width=[96]' 'grid.tokens=[524288]'", {})
    overrides: list[str] = overrides("an override with which the study was launched")


@dataclass(frozen=True)
class Added:
    """The plan of a study with the block that was added.

    Attributes
    ----------
    arguments : str
        The arguments of the next ``scaling launch``: the study with its overrides.
    block : str
    view : PlanView
    """

    arguments: str
    block: str
    view: PlanView

    code = 0

    def as_json(self) -> dict[str, Any]:
        """The plan, and the name of the block."""
        return {**self.view.as_json(), "added": self.block}

    def show(self, screen: Screen) -> None:
        """The plan, and the command that trains the new runs."""
        self.view.show(screen)
        screen.say(f"added; scaling launch {self.arguments} trains what is new")


def run(options: AddOptions, screen: Screen) -> Added:
    """Add runs to a study: scaling add study=NAME block=wider role=fit 'grid.model.width=[96]'.

    The block is part of every later plan of the study, until it is deleted from added.json (with
    the checksum there). The next launch trains the new runs.
    Give the same overrides as for the launch of the study: it is planned first.
    """
    study = Study.of_file(options.study, options.outputs, options.overrides, screen)
    view = study.add(options.block, options.grid, role=options.role)
    return Added(shlex.join([f"study={options.study}", *options.overrides]), options.block, view)


VERB = Verb(
    "add runs to a study",
    "scaling add study=NAME block=NAME [role=fit] grid.KEY=[...]",
    run,
    AddOptions,
)
