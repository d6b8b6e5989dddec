"""Curves without uninformative steps: no loss was measured, and the schedule is straight.

A table of 10,000 runs with 10,000 steps each does not fit into 4 GB; their measured losses do.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.schedule_areas import Array, whole_runs

FEW_ROWS = 400  # curves with fewer rows are not reduced by `told_rows`
_EVENLY = 100  # rows of a long curve, beside those where it bends
_BEND = 2e-4  # how far `values` may be from straight lines


def thin_curves(
    curves: pd.DataFrame, *, response: str = "loss", tolerance: float = 1e-4
) -> pd.DataFrame:
    """Keep the rows with a measured loss, and those between which the learning rate is linear.

    Parameters
    ----------
    curves : DataFrame
        One row for each step of each run: ``run, step, lr`` and the response, NaN where it was not
        measured. Thin many runs one by one, as they are read.
    response : str
        The column of losses.
    tolerance : float
        How far straight lines between the rows kept may be from the learning rate, relative to the
        run's peak. A schedule of straight pieces stays exact.

    Returns
    -------
    DataFrame
        The rows kept, with a column ``thinned`` by which laws of curves interpolate the others.

    Raises
    ------
    UserError
        If a run does not have one row for each step, or its lr is not a number.
    """
    measured = curves[response].notna().to_numpy()
    is_kept = measured.copy()
    for at, step, lr in whole_runs(curves):
        is_kept[at] |= _knots(step, lr, measured[at], tolerance * lr.max())
    return curves[is_kept].assign(thinned=True)


def told_rows(frame: pd.DataFrame, values: Array) -> Array:
    """Rows between which a quantity of long curves hardly bends, in the order of the table.

    Parameters
    ----------
    frame : DataFrame
        ``run, step``.
    values : array, shape (rows,)
        A quantity that bends where the computed one does, such as a predicted loss; NaN where
        there is none.
    """
    is_told = np.zeros(len(frame), bool)
    step = frame["step"].to_numpy(float)
    for group in frame.groupby("run", sort=False).indices.values():
        rows = np.asarray(group)
        finite = rows[np.isfinite(values[rows])]
        finite = finite[np.argsort(step[finite], kind="stable")]
        if len(finite) <= FEW_ROWS:
            is_told[finite] = True
            continue
        is_kept = np.zeros(len(finite), bool)
        is_kept[np.linspace(0, len(finite) - 1, _EVENLY).round().astype(int)] = True
        is_told[finite[_knots(step[finite], values[finite], is_kept, _BEND)]] = True
    return np.flatnonzero(is_told)


def between_rows(frame: pd.DataFrame, told_numbers: Array, values: Array) -> Array:
    """Several quantities at all rows, from those at `told_rows`, shape (quantities, told)."""
    step, every = frame["step"].to_numpy(float), np.full((len(values), len(frame)), np.nan)
    place = np.full(len(frame), -1)
    place[told_numbers] = np.arange(len(told_numbers))
    for group in frame.groupby("run", sort=False).indices.values():
        rows = np.asarray(group)
        told_of_group = rows[place[rows] >= 0]
        if not len(told_of_group):
            continue
        told_of_group = told_of_group[np.argsort(step[told_of_group], kind="stable")]
        inside = rows[
            (step[rows] >= step[told_of_group[0]]) & (step[rows] <= step[told_of_group[-1]])
        ]
        for row, value in zip(every, values, strict=True):
            row[inside] = np.interp(step[inside], step[told_of_group], value[place[told_of_group]])
    return every


def _knots(step: Array, lr: Array, is_kept: Array, tolerance: float) -> Array:
    """Rows to keep, shape (rows,): the worst of each gap joins until all are near enough."""
    is_kept = is_kept.copy()
    is_kept[[0, -1]] = True
    bends = np.abs(np.diff(lr, 2)) > tolerance  # corners and jumps, with their neighbours
    is_kept[1:-1] |= bends
    while True:
        rows = np.flatnonzero(is_kept)
        error = np.abs(np.interp(step, step[rows], lr[rows]) - lr)
        worst = np.maximum.reduceat(error, rows)
        far = np.flatnonzero(worst > tolerance)
        if not len(far):
            return is_kept
        ends = np.append(rows, len(step))
        for k in far:
            is_kept[rows[k] + np.argmax(error[rows[k] : ends[k + 1]])] = True
