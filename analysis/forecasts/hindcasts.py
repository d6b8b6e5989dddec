"""Hindcasts: finished runs that are forecast from the first part of their curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.laws.error_scale import RELATIVE
from scalinglab.analysis.laws.law import Array

_LATE = 0.25  # last share of the measured steps, over which the distance from the law is averaged
_NONE_KEPT = 3  # prior: as many further runs that kept nothing of their distance


def distance(curve: pd.DataFrame, predicted: pd.Series) -> float:
    """How far the last part of a curve lies above the law, in logarithms; 0 without a loss.

    NaN where the law has no possible loss at one of these steps.
    """
    ratio: Any = curve["loss"] / predicted  # functions of numpy keep a column
    away: Any = RELATIVE.of(ratio)
    is_known = curve["loss"].notna() & predicted.notna()
    if not is_known.any():
        return 0.0
    last = curve.loc[is_known, "step"].max()
    late = is_known & (curve["step"] >= (1 - _LATE) * last)
    return float(away[late].mean(skipna=False))


def left_out(result: Result, curves: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Finished curves, each predicted by the refit without it."""
    name = curves["run"].astype(str)
    for run, params in zip(result.left_out.runs, result.left_out.params, strict=True):
        curve = curves[name == run].sort_values("step").reset_index(drop=True)
        yield curve.assign(predicted=result.law.predict(params, result.columns_of(curve))[0])


def hindcasts(curves: Sequence[pd.DataFrame], share: float) -> pd.DataFrame:
    """The law's prediction of each curve's end, and the curve's distance from the law at a share.

    One row per curve of `left_out`: ``run, log_forecast, measured, distance``; NaN where the law
    has no possible loss.
    """
    rows = []
    for curve in curves:
        last = curve["loss"].last_valid_index()
        if last is not None and np.isfinite(curve["predicted"][last]):
            is_seen = curve["step"] <= share * curve["step"].max()
            away = distance(curve.assign(loss=curve["loss"].where(is_seen)), curve["predicted"])
            end = float(RELATIVE.of(curve["predicted"][last]))
            rows.append((curve["run"][0], end, curve["loss"][last], away))
    return pd.DataFrame(rows, columns=["run", "log_forecast", "measured", "distance"])


def share_kept(past: pd.DataFrame) -> float:
    """The share of their distance from the law that runs kept, by least squares."""
    squares = float((past["distance"] ** 2).sum())
    if squares <= 0:
        return 0.0
    squares *= 1 + _NONE_KEPT / len(past)
    return float(np.clip(-(misses(past, 0.0) * past["distance"]).sum() / squares, 0, 1))


def misses(past: pd.DataFrame, kept_share: float) -> Array:
    """Signed errors of the hindcasts, in logarithms."""
    forecast = past["log_forecast"] + kept_share * past["distance"]
    return (forecast - np.log(past["measured"].astype(float))).to_numpy(float)
