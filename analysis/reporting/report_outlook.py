"""Sections of the report on what is to come: forecasts, expected norms, the track record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scalinglab.analysis.forecasts.norms import LEVEL, norm_warnings
from scalinglab.analysis.forecasts.track import as_texts, sentence
from scalinglab.analysis.intervals.spread import calibration_in_words
from scalinglab.analysis.reporting.page import Section
from scalinglab.analysis.tables.interval_text import with_intervals
from scalinglab.analysis.tables.powers import power, short

if TYPE_CHECKING:
    from scalinglab.analysis.reporting.outlook import Outlook

# Columns of counts and compute, as figures write them.
WRITTEN = {"N": short, "D": short, "C": power}


def outlook_sections(outlook: Outlook) -> list[Section]:
    """A section for each part that has something to show."""
    return [*_forecasts(outlook), *_norms(outlook), *_track(outlook)]


def _forecasts(outlook: Outlook) -> list[Section]:
    forecasts = outlook.forecasts
    if forecasts.empty:
        return []
    with_share = forecasts.assign(known=[f"{share:.0%}" for share in forecasts["share"]])
    named = with_share.rename(
        columns={"loss": "final", "lower": "final_lower", "upper": "final_upper"}
    )
    columns = [
        "run_id",
        "role",
        "state",
        "N",
        "D",
        "schedule",
        "seed",
        "known",
        "final",
        "final_lower",
        "final_upper",
        "beyond",
        "law",
        "note",
    ]
    wider = (
        f", {calibration_in_words(outlook.calibration_factor)}"
        if outlook.calibration_factor > 1
        else ""
    )
    text = f"Intervals are {outlook.level:.0%}{wider}."
    return [Section("Forecasts of unfinished runs", text, [with_intervals(named[columns])])]


def _norms(outlook: Outlook) -> list[Section]:
    if outlook.norms.empty:
        return []
    table = outlook.norms.rename(columns={"lower": "value_lower", "upper": "value_upper"})
    text = " ".join(
        [
            "Each is a power of N and LR through the finished runs of the recipe that measured it,"
            f" with its {LEVEL:.0%} interval for a new run.",
            *(f"{sentence}." for sentence in norm_warnings(outlook.norms)),
        ]
    )
    return [Section("Norms expected of unfinished runs", text, [with_intervals(table)])]


def _track(outlook: Outlook) -> list[Section]:
    if outlook.track.empty:
        return []
    table = as_texts(outlook.track).drop(columns="study")
    text = sentence(outlook.record, outlook.level)
    return [Section("Track record of forecasts", text, [table])]
