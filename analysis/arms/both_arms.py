"""Rolling-origin refits of two arms, judged by the errors of their ratio.

`scalinglab.analysis.intervals.rolling` judges refits by their errors at single points. The ratio of
two recipes' losses has smaller errors: those that the law makes in both arms cancel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce

import numpy as np
import pandas as pd

from scalinglab.analysis.arms.pairs import pair_label
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.intervals.measured import Measured, along
from scalinglab.analysis.intervals.rolling import Origins
from scalinglab.analysis.laws.law import Array


def of_both_arms(result: Result, runs: pd.DataFrame) -> Result:
    """The same fit with refits that are judged by both arms together.

    The fitted range is the intersection of the arms' ranges. If runs are paired, the error of a
    refit is its error in the ratios of pairs.

    Parameters
    ----------
    result : Result
        A fit to `runs` with the arm ``_arm``.
    runs : DataFrame
        ``N, D, loss, _arm``.
    """
    by_arm = measured_by_arm(runs, runs["_arm"].unique())
    result = replace(result, measured=reduce(Measured.common, by_arm))
    origins = result.origins
    if not len(origins):
        return result
    columns = {name: runs[name].to_numpy(float) for name in ("N", "D")}
    positions = [
        sign * along(axis, columns) for axis, sign in zip(origins.axis, origins.sign, strict=True)
    ]
    arm = pd.factorize(runs["_arm"])[0]
    ends = [min(a[arm == k].max() for k in range(arm.max() + 1)) for a in positions]
    edge = np.minimum(origins.edge, ends)
    missed = _missed_ratios(result, runs, np.array(positions))
    return replace(
        result,
        origins=replace(
            origins,
            edge=edge,
            cut=np.minimum(origins.cut, edge),
            missed=np.where(np.isfinite(missed), missed, origins.missed),
        ),
    )


def measured_by_arm(runs: pd.DataFrame, arms: Iterable[str]) -> tuple[Measured, ...]:
    """The fitted range of each arm, from a table with ``N, D, _arm``."""
    return tuple(
        Measured.of({name: rows[name].to_numpy(float) for name in ("N", "D")}, ("N", "D"))
        for rows in (runs[runs["_arm"] == arm] for arm in arms)
    )


def _missed_ratios(result: Result, runs: pd.DataFrame, at: Array) -> Array:
    """Mean square of each refit's errors in the ratios of held-out pairs, minus that of others.

    NaN where there are too few pairs.
    """
    origins: Origins = result.origins
    columns = result.law.read(runs.rename(columns={"_arm": "arm"}))
    with np.errstate(all="ignore"):
        error = np.log(result.law.predict(origins.params, columns)) - np.log(
            runs["loss"].to_numpy(float)
        )
    arm, pair = pd.factorize(runs["_arm"])[0], pd.factorize(pair_label(runs))[0]
    shape = (pair.max() + 1, arm.max() + 1)
    count = np.zeros(shape)
    np.add.at(count, (pair, arm), 1)
    paired = (count > 0).all(axis=1)
    free = len(result.free) / shape[1]
    missed = np.full(len(origins), np.nan)
    for k, arm_error in enumerate(error):
        total, outermost = np.zeros(shape), np.full(shape[0], -np.inf)
        np.add.at(total, (pair, arm), arm_error)
        np.maximum.at(outermost, pair, at[k])
        mean = total[paired] / count[paired]
        squares, inside = (mean[:, 1] - mean[:, 0]) ** 2, outermost[paired] <= origins.cut[k]
        if inside.sum() > free and not inside.all():
            missed[k] = squares[~inside].mean() - squares[inside].sum() / (inside.sum() - free)
    return missed
