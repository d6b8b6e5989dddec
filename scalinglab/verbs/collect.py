"""``scaling collect``: a study's results as parquet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.launched_study import LaunchedStudy
from scalinglab.options import OutputsOptions, option
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class CollectOptions(OutputsOptions):
    """Options of ``scaling collect``."""

    study: str = option("the study whose records are written")


@dataclass(frozen=True)
class Collected:
    """The files that were written."""

    runs: Path
    curves: Path

    code = 0

    def as_json(self) -> dict[str, Any]:
        """Their names."""
        return vars(self)

    def show(self, screen: Screen) -> None:
        """A line each."""
        screen.say(f"{self.runs}\n{self.curves}")


def run(options: CollectOptions, screen: Screen) -> Collected:
    """Write a study's records as results/runs.parquet and results/curves.parquet.

    One row a run and one row a step, diverged runs included. Only what is new is read.
    """
    study = LaunchedStudy(options.study, options.outputs_path, screen=screen)
    return Collected(*study.collect())


VERB = Verb(
    "write a study's results as parquet",
    "scaling collect study=NAME [outputs=outputs]",
    run,
    CollectOptions,
)
