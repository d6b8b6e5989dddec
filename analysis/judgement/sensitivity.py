"""The sensitivity of a fit to the threshold delta of the Huber cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.laws.law import Law
from scalinglab.scaling.errors import UserError

DELTAS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def delta_sensitivity(
    law: str | Law,
    data: pd.DataFrame,
    *,
    at: pd.DataFrame | None = None,
    deltas: Sequence[float] = DELTAS,
    **options: Any,
) -> pd.DataFrame:
    """The fit at many values of delta, from nearly least absolute deviations to least squares.

    At delta 1e-3 the cost of Hoffmann et al. (arXiv:2203.15556) is nearly the absolute value. If an
    exponent or a prediction moves with delta by more than its interval, a few points decide it.

    Parameters
    ----------
    law, data, **options
        As in `analysis.fit`, without `delta`.
    at : DataFrame, optional
        Points to predict: their responses stand beside the parameters.
    deltas : sequence of float

    Returns
    -------
    DataFrame
        One row per delta (inf: least squares) with the law's parameters, ``residual`` (root mean
        square of the log residuals) and ``at <index>`` for each row of `at`. If the fit has
        resamples, a last row ``moves`` says by how many standard errors each ranges over the
        deltas: above 2, delta decides more than noise does.

    Raises
    ------
    UserError
        As `analysis.fit`, or for a delta that is not positive.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from scalinglab import analysis
    >>> runs = pd.DataFrame({"x": np.geomspace(1e17, 1e21, 12)})
    >>> runs["loss"] = 1.7 + (1e18 / runs.x) ** 0.15
    >>> table = analysis.delta_sensitivity("power_plus_constant", runs, resamples=0)
    >>> table["L_inf"].round(3).unique().tolist()
    [1.7]
    """
    if "delta" in options:
        raise UserError("delta is what varies: give the values as deltas=")
    resamples, rows = options.pop("resamples", 1000), {}
    for delta in [*deltas, np.inf]:
        cost = {"objective": "least_squares"} if delta == np.inf else {"delta": delta}
        rows[delta] = _answer(fit(law, data, resamples=0, **{**options, **cost}), at)
    table = pd.DataFrame(rows).T.rename_axis("delta")
    if resamples:
        table.loc["moves"] = np.ptp(table, axis=0) / _errors(law, data, at, resamples, options)
    return table


def _answer(result: Result, at: pd.DataFrame | None) -> dict[str, float]:
    predicted = pd.Series() if at is None else result.predict(at)[result.law.response]
    return {
        **result.params,
        "residual": float(np.sqrt(np.mean(result.residuals**2))),
        **{f"at {index}": float(value) for index, value in predicted.items()},
    }


def _errors(
    law: str | Law,
    data: pd.DataFrame,
    at: pd.DataFrame | None,
    resamples: int,
    options: dict[str, Any],
) -> pd.Series:
    """Standard errors of the answer at the default delta.

    Half the width of the middle 68 % of the draws: a few draws that run away along a direction the
    data hardly fix would make any standard deviation.
    """
    result = fit(law, data, resamples=resamples, **options)
    errors = _half_width(result.draws.to_numpy(), result.draws.columns)
    if at is not None:
        columns = result.columns_of(at)
        predicted = result.law.predict(result.draws.to_numpy(), columns)
        errors = pd.concat([errors, _half_width(predicted, [f"at {i}" for i in at.index])])
    return errors.where(errors > 0)


def _half_width(draws: np.ndarray, names: Iterable[str]) -> pd.Series:
    low, high = np.quantile(draws, [0.1587, 0.8413], axis=0)
    return pd.Series((high - low) / 2, list(names))
