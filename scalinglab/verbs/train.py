"""``scaling train``: one run, in this process."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.options import Options, overrides
from scalinglab.single_run import TrainResult, train_run
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True)
class TrainOptions(Options):
    """Options of ``scaling train``."""

    overrides: list[str] = overrides()


def run(options: TrainOptions, screen: Screen) -> TrainResult:
    """Train one run in this process: scaling train model.width=64 schedule=cosine tokens=1e6.

    A finished run is not trained again; one that was begun goes on from its last checkpoint.
    """
    return train_run(*options.overrides, screen=screen)


VERB = Verb(
    "train one run in this process",
    "scaling train [model.width=64 schedule=cosine tokens=1e6 ...]",
    run,
    TrainOptions,
)
