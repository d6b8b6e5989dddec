"""``scaling cancel``: stop a study, or some of its runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab.launched_study import LaunchedStudy
from scalinglab.options import SELECTION, OutputsOptions, option
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class CancelOptions(OutputsOptions):
    """Options of ``scaling cancel``."""

    study: str = option("the study that is stopped")
    runs: str | None = option(f"only these runs: {SELECTION}", None)


@dataclass(frozen=True)
class Cancelled:
    """One sentence for each launch or run that was stopped."""

    study: str
    sentences: list[str]

    code = 0

    def as_json(self) -> dict[str, Any]:
        """The sentences."""
        return {"study": self.study, "cancelled": self.sentences}

    def show(self, screen: Screen) -> None:
        """A line each."""
        screen.say("\n".join(self.sentences or ["there is nothing to cancel"]))


def run(options: CancelOptions, screen: Screen) -> Cancelled:
    """Stop a study, or some of its runs with runs=SELECTION; everything is saved first.

    The next launch goes on with what was cancelled.
    """
    study = LaunchedStudy(options.study, options.outputs_path, screen=screen)
    return Cancelled(options.study, study.cancel(options.runs))


VERB = Verb(
    "stop a study or some of its runs; everything is saved",
    "scaling cancel study=NAME [runs=SELECTION]",
    run,
    CancelOptions,
)
