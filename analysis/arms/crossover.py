"""Where the laws of two recipes cross, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scalinglab.analysis.arms.comparison import ArmComparison

_RARE = 0.05  # share of the resamples, up to which a crossing is excluded


def crossover(comparison: ArmComparison) -> str:
    """Where the laws cross along the trend of N and D, or how far that was searched in vain."""
    crossed, (a, b) = comparison.crossover, comparison.arms
    share = crossed["share"]
    name = b if crossed["towards"] == "B" else a
    if np.isnan(crossed["C"]):
        return _no_crossing(crossed, name)
    where = "inside" if crossed["inside"] else "outside"
    interval = (
        ""
        if np.isnan(share)
        else (
            f" ({crossed['lower']:.3g} to {crossed['upper']:.3g}, in {share:.0%} of the resamples)"
        )
    )
    return (
        f"the laws cross at C = {crossed['C']:.3g}{interval}, {where} the measured compute; above"
        f" it {name} is better"
    )


def _no_crossing(crossed: dict[str, Any], better: str) -> str:
    """What the laws say where those of the best fit do not cross."""
    share, within = crossed["share"], crossed["within"]
    searched = f"C = {crossed['searched_low']:.3g} to {crossed['searched_top']:.3g}"
    if not share > _RARE:
        return f"{better} is better throughout: the laws do not cross from {searched} (searched)"
    cannot = f"a crossing cannot be excluded: from {searched} (searched) the laws cross in"
    if within > _RARE:
        return (
            f"{better} is better throughout in the best fit, but {cannot} {share:.0%} of the"
            f" resamples, in {within:.0%} within the measured compute"
        )
    low, top = crossed["low"], crossed["top"]
    if np.isnan(low):
        return (
            f"{better} is better throughout in the best fit, but no compute was measured for both"
            f" recipes and {cannot} {share:.0%} of the resamples"
        )
    return (
        f"{better} is better from C = {low:.3g} to {top:.3g}, where both recipes have runs around"
        f" the trend of N and D. {_beyond(crossed)}. These bounds are the measured range, not where"
        " the difference stops being significant"
    )


def _beyond(crossed: dict[str, Any]) -> str:
    """Beyond which ends of the measured range resamples cross, and how far that was searched."""
    low, top = crossed["searched_low"], crossed["searched_top"]
    below, above = f"down to C = {low:.3g}", f"up to C = {top:.3g}"
    if crossed["below"] <= _RARE < crossed["above"]:
        place, share = f"Above it, searched {above},", crossed["above"]
    elif crossed["above"] <= _RARE < crossed["below"]:
        place, share = f"Below it, searched {below},", crossed["below"]
    else:
        place, share = f"Outside it, searched {below} and {above},", crossed["share"]
    return f"{place} a crossing cannot be excluded: the laws cross there in {share:.0%} of the resamples"
