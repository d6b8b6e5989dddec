"""``scaling track``: kept forecasts against what was measured later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab.answers.forecast import TrackOptions, TrackRecord, track
from scalinglab.options import OutputsOptions, option
from scalinglab.show_forecasts import show_record
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class TrackVerbOptions(OutputsOptions, TrackOptions):
    """Options of ``scaling track``."""

    study: str | None = option("the forecasts of one study alone", None)


@dataclass(frozen=True)
class TrackResult:
    """Kept forecasts and how they came out."""

    record: TrackRecord
    code = 0

    def as_json(self) -> dict[str, Any]:
        """One entry a forecast, and by what they widen intervals."""
        return {"predictions": self.record.table, "inflation": self.record.calibration_factor}

    def show(self, screen: Screen) -> None:
        """A row a forecast, and what they say together."""
        if self.record.table.empty:
            screen.say("no forecast was kept yet: scaling forecast study=NAME makes some")
            return
        show_record(screen, self.record)
        screen.say(self.record.sentence())


def run(options: TrackVerbOptions, screen: Screen) -> TrackResult:
    """Show the forecasts that were kept and how they came out: scaling track [study=NAME].

    Once enough of them are tested, intervals of later forecasts are widened by their errors.
    """
    return TrackResult(track(options.outputs_path, options.study, options))


VERB = Verb(
    "show kept forecasts and how they came out",
    "scaling track [study=NAME]",
    run,
    TrackVerbOptions,
)
