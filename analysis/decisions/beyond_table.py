"""Runs that could be made next, beside and just beyond those of a table made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from scalinglab.analysis.decisions.cost_functions import Cost
from scalinglab.scaling.errors import UserError

Array = np.ndarray

_VALUES = 12  # of an axis at most: every pair of them is a candidate
_STEP = 2.0  # from the largest value to the one beyond, where only one value was measured
_LONGEST_STEP = 10.0


def candidates_of_table(
    runs: pd.DataFrame, cost: Cost, sizes: Sequence[float] = (), tokens: Sequence[float] = ()
) -> pd.DataFrame:
    """Every pair of some sizes and tokens, with what it costs.

    Parameters
    ----------
    runs : DataFrame
        ``N, D`` of the measured runs.
    cost : callable
        ``cost(N, D)``.
    sizes, tokens : sequence of float
        N and D of the candidates; default: those of the table, at most twelve of each and evenly
        in logarithms, and one step beyond the largest.

    Returns
    -------
    DataFrame
        ``N, D, cost`` and ``made``, the number of runs there already: a candidate is one more,
        with another seed.

    Raises
    ------
    UserError
        If a size or a number of tokens is not positive.
    """
    axes: dict[str, Array] = {}
    for name, values in (("N", sizes), ("D", tokens)):
        wrong = [value for value in values if not (np.isfinite(value) and value > 0)]
        if wrong:
            raise UserError(f"grid.{name} = {wrong[0]}: allowed are positive numbers")
        axes[name] = np.unique(values).astype(float) if len(values) else _and_beyond(runs[name])
    grid: Sequence[Array] = np.meshgrid(axes["N"], axes["D"], indexing="ij")
    N, D = (axis.ravel() for axis in grid)
    made = runs.groupby(["N", "D"]).size()
    counts = [int(made.get(place, 0)) for place in zip(N, D, strict=True)]
    return pd.DataFrame({"N": N, "D": D, "cost": cost(N, D), "made": counts})


def _and_beyond(column: pd.Series) -> Array:
    """Values of a column, thinned, and one beyond the largest by the ratio of the last two."""
    values = np.unique(column.to_numpy(float))
    if len(values) > _VALUES:
        wanted = np.geomspace(values[0], values[-1], _VALUES)
        nearest = np.abs(np.log(values[:, None] / wanted)).argmin(0)
        values = values[np.unique(nearest)]
    step = values[-1] / values[-2] if len(values) > 1 else _STEP
    return np.append(values, values[-1] * min(max(step, np.sqrt(_STEP)), _LONGEST_STEP))
