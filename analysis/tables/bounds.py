"""Rows of which a bound is known and no value: censored measurements.

A pass rate of which not enough samples passed before a cap is at most so large, and minus its
logarithm at least so large. The bound of a column NAME stands in ``NAME_at_most`` or
``NAME_at_least``, where NAME itself is empty: a fit takes such rows as censored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.law import Array, Columns

AT_LEAST, AT_MOST = "_at_least", "_at_most"
SIDES = {AT_LEAST: 1.0, AT_MOST: -1.0}
SIDE = "_side"  # column: 1 where the true value is at least the response, -1 at most, 0 equal


@dataclass(frozen=True)
class Bounds:
    """Censored rows of a fit.

    Attributes
    ----------
    columns : dict of array, shape (..., m)
    bound : array, shape (m,)
        In the unit of the response.
    side : array, shape (m,)
        1 where the true value is at least the bound, -1 where it is at most the bound.
    group : array of int, shape (m,)
        The independent group of each row, beside those of the measured rows.
    """

    columns: Columns
    bound: Array
    side: Array
    group: Array

    def beside(self, rows: int) -> Bounds:
        """The same beside so many measured rows, each a group of its own."""
        return replace(self, group=rows + np.arange(len(self.bound)))


def with_bounds(frame: pd.DataFrame, response: str) -> pd.DataFrame:
    """The table with bounds where the response is empty, and `SIDE`, which says what they are."""
    side = pd.Series(0.0, frame.index)
    values = frame.get(response, pd.Series(np.nan, frame.index))
    for suffix, which in SIDES.items():
        if response + suffix in frame:
            bound = pd.to_numeric(frame[response + suffix], errors="coerce")
            is_bound = values.isna() & bound.notna()
            values, side = values.where(~is_bound, bound), side.mask(is_bound, which)
    if not side.any():
        return frame.assign(**{SIDE: side})
    return frame.assign(**{response: values, SIDE: side})


def only_bounded(frame: pd.DataFrame) -> Array:
    """The rows of a table that `with_bounds` read whose response is a bound; of others none."""
    return frame[SIDE].to_numpy(float) != 0 if SIDE in frame else np.zeros(len(frame), bool)


def bounds_of(frame: pd.DataFrame, response: str, columns: Columns, group: Array | None) -> Bounds:
    """The censored rows of a table that `with_bounds` read.

    Parameters
    ----------
    frame : DataFrame
    response : str
        The column of measured values and bounds.
    columns : dict of array
        What the law reads of all rows.
    group : array of int, optional
        The independent group of each row; default: each row is one.
    """
    side = frame[SIDE].to_numpy(float)
    rows = side != 0
    single = (~rows).sum() + np.arange(rows.sum())
    return Bounds(
        columns={name: column[..., rows] for name, column in columns.items()},
        bound=frame[response].to_numpy(float)[rows],
        side=side[rows],
        group=single if group is None else group[rows],
    )


def of_column(frame: pd.DataFrame, column: str, name: str) -> dict[str, pd.Series]:
    """The bounds of a column under another name, where the table has some."""
    return {name + s: frame[column + s] for s in SIDES if column + s in frame}
