"""Forecasts and their track record as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from scalinglab.analysis.forecasts import track
from scalinglab.analysis.intervals.spread import calibration_in_words

if TYPE_CHECKING:
    from scalinglab.answers.forecast import Forecasts, TrackRecord
    from scalinglab.terminal import Screen


def show_forecasts(screen: Screen, forecasts: Forecasts) -> None:
    """Print forecasts as a table, and by what earlier ones widened their intervals."""
    if forecasts.table.empty:
        screen.say(f"{forecasts.study}: every run has ended")
        return
    what = "final losses" if forecasts.column == "loss" else f"final {forecasts.column}"
    screen.table(
        forecasts_frame(forecasts.table).rename(
            columns={"final loss": f"final {forecasts.column}"}
        ),
        optional=("role", "seed", "schedule", "law"),
        text="note",
        title=f"{forecasts.study}: forecast of {what}",
    )
    if forecasts.calibration_factor > 1:
        screen.say(f"intervals are {calibration_in_words(forecasts.calibration_factor)}")


def show_record(screen: Screen, record: TrackRecord) -> None:
    """Print kept forecasts with what was measured."""
    texts = track.as_texts(record.table)
    screen.table(texts, optional=("law", "study", "made"), text="outcome")


def forecasts_frame(table: pd.DataFrame) -> pd.DataFrame:
    """Forecasts for display: a row a run, its cells as texts."""
    is_known = table["loss"].notna()
    intervals = [
        "" if pd.isna(a) or pd.isna(b) else f"{a:.4f} to {b:.4f}"
        for a, b in zip(table["lower"], table["upper"], strict=True)
    ]
    inside = [
        ("yes" if b <= 1 + 1e-9 else f"{b:.2g}x beyond") if ok else ""
        for b, ok in zip(table["beyond"], is_known, strict=True)
    ]
    return pd.DataFrame(
        {
            "run": table["run_id"],
            "role": table["role"],
            "state": table["state"],
            "N": ["" if pd.isna(n) else f"{n:,}" for n in table["N"]],
            "D": ["" if pd.isna(d) else f"{d:,}" for d in table["D"]],
            "schedule": table["schedule"],
            "seed": table["seed"],
            "known": [f"{share:.0%}" for share in table["share"]],
            "final loss": ["" if pd.isna(v) else f"{v:.4f}" for v in table["loss"]],
            "interval": intervals,
            "fitted range": inside,
            "law": table["law"],
            "note": table["note"],
        }
    )
