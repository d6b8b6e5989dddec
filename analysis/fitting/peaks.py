"""Warnings about curves with several peak learning rates, for laws that ignore the peak.

Such a law reads only how far the learning rate fell below a run's own peak, so it predicts equal
losses for curves of different peaks. A warning names it, also for a schedule whose peak no fitted
curve had.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.schedule_areas import highest_rates, runs_that_rewarm
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.law_columns import as_law_columns
from scalinglab.analysis.tables.numbers import as_floats
from scalinglab.analysis.tables.points import Points

_APART = 1.1  # ratio of two peaks up to which they count as equal
_NAMED = 3  # runs


def peaks_of(law: Law, points: Points, data: pd.DataFrame) -> dict[str, Any]:
    """Peak learning rates of the fitted curves, and runs that warm up again.

    Returns
    -------
    dict
        ``lowest, highest, rewarmed``; empty for laws that may have several peaks, or no schedule.
    """
    if not law.curve or law.several_peaks or points.checkpoints is None:
        return {}
    curves = as_law_columns(with_multiples(as_floats(data), points.renamed), points.renamed)
    if "lr" not in curves:
        return {}
    curves = curves[curves["run"].isin(points.checkpoints["run"])]
    lowest, highest = highest_rates(curves)
    return {"lowest": lowest, "highest": highest, "rewarmed": runs_that_rewarm(curves)}


def peaks_in_words(law: Law, peaks: dict[str, Any]) -> str:
    """A warning that the fitted curves have several peaks; empty if they have one."""
    reasons = []
    if peaks and peaks["highest"] > _APART * peaks["lowest"]:
        reasons.append(f"peak learning rates from {peaks['lowest']:.3g} to {peaks['highest']:.3g}")
    if peaks and (again := peaks["rewarmed"]):
        more = f" and {len(again) - _NAMED} more" if len(again) > _NAMED else ""
        reasons.append(f"runs that warm up again ({', '.join(again[:_NAMED])}{more})")
    return f"the curves have {' and '.join(reasons)}, {_only(law)}" if reasons else ""


def other_peak_in_words(law: Law, peaks: dict[str, Any], peak: float) -> str:
    """A warning that no fitted curve had the peak of a schedule; empty if one had."""
    if not peaks or peaks["lowest"] / _APART <= peak <= peaks["highest"] * _APART:
        return ""
    low, high = peaks["lowest"], peaks["highest"]
    of_curves = f"{high:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    return (
        f"its peak learning rate {peak:.3g} is not that of the curves ({of_curves}), {_only(law)}"
    )


def _only(law: Law) -> str:
    able = ", ".join(candidate.name for candidate in LAWS.values() if candidate.several_peaks)
    return (
        f"but {law.name} knows only by how much the rate fell below a run's own first peak:"
        f" predictions may be far off; fit {able}, or curves of one peak"
    )
