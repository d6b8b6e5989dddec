"""An average of laws as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.fit_text import residuals_in_words

if TYPE_CHECKING:
    from scalinglab.analysis.fitting.mixture import Mixture


def mixture_report(result: Mixture) -> list[str]:
    """The lines of a mixture's report: its laws with their shares, the fit, its warnings."""
    ranges = {name.partition("[")[0]: pair for name, pair in result.ranges.items()}
    lines = [
        f"[[{result.law.name}: {len(result.laws)} laws, the mean by shares]]",
        f"    {'law':<16}{'share':>7}{'left out':>10}{'free':>6}{'score':>8}{'error':>8}"
        f"{'bias':>9}",
        *(_law_row(str(name), row) for name, row in result.laws.iterrows()),
        f"    from {result.held_out_points} points predicted ahead of {result.held_out_origins}"
        f" origins"
        + (f", {result.not_scored} far from every law not counted" if result.not_scored else "")
        + ("; left out: of the smallest budgets" if result.laws["window"].any() else ""),
        "[[Fit]]",
        f"    points     {result.points}",
        "    range      " + ", ".join(f"{n} {a:.3g} to {b:.3g}" for n, (a, b) in ranges.items()),
        f"    residuals  {residuals_in_words(result)}",
    ]
    if result.warnings:
        lines += ["[[Warnings]]", *(f"    ! {sentence}" for sentence in result.warnings)]
    return lines


def _law_row(name: str, row: pd.Series) -> str:
    text = f"    {name:<16}{row['share']:>7.0%}{row['window']:>10.0%}{row['free']:>6.0f}"
    if np.isnan(row["score"]):  # nothing was held out
        return text
    return f"{text}{row['score']:>8.2f}{row['error']:>8.2%}{row['bias']:>+9.2%}"
