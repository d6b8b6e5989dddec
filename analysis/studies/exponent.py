"""A power law through a few points whose errors are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scalinglab.scaling.errors import UserError


def exponent(x: ArrayLike, y: ArrayLike, errors: ArrayLike) -> tuple[float, float]:
    """Slope of log y against log x by weighted least squares, and its standard error.

    Parameters
    ----------
    x, y : sequences, above 0
    errors : sequence
        Standard errors of log y. The scatter about the line counts instead if all are 0 or unknown,
        or if it is larger than they allow.

    Raises
    ------
    UserError
        If there are fewer than two different x.
    """
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    if len(np.unique(u)) < 2:
        raise UserError("an exponent needs two different x")
    sigma = np.asarray(errors, float)
    has_errors = np.isfinite(sigma).all() and (sigma > 0).all()
    weight = 1 / sigma**2 if has_errors else np.ones_like(u)
    middle = np.average(u, weights=weight)
    spread = (weight * (u - middle) ** 2).sum()
    slope = float((weight * (u - middle) * v).sum() / spread)
    left = v - np.average(v, weights=weight) - slope * (u - middle)
    spare = len(u) - 2
    scatter = float(np.sqrt((weight * left**2).sum() / spare)) if spare else np.nan
    if has_errors:  # the line misses by `scatter` of the errors: no more sure than that
        scatter = max(1.0, scatter) if spare else 1.0
    return slope, scatter * float(spread**-0.5)


def said(slope: float, error: float) -> str:
    """ "0.49 ± 0.03"."""
    return f"{slope:.2f}" + ("" if np.isnan(error) else f" ± {error:.2f}")
