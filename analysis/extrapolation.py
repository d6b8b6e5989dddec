"""Would the same fit, without its largest scale, have predicted that scale?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.error_scale import ErrorScale
from analysis.laws.law import Columns
from analysis.misfit import Misfit
from analysis.search import search
from analysis.solver import minimise

Array = np.ndarray

_TOP_SHARE = 0.1  # of the rows, where there are no rungs to hold out


def top_rows(column: Array) -> Array:
    """Rows of the largest rung, or of the top tenth where sizes hardly repeat."""
    sizes = np.unique(column)
    if len(sizes) <= max(len(column) / 2, 8):
        return column >= sizes[-1]
    return column >= np.quantile(column, 1 - _TOP_SHARE)


def check_top(misfit: Misfit) -> dict | None:
    """Refit without the largest scale and predict it; None where too little would be left.

    Returns
    -------
    dict
        ``column`` and ``value``: what was held out, and from where on; ``beyond``: how many times
        above the rest it lies; ``points``; ``error``: mean of predicted / measured - 1, or of
        predicted - measured where errors are absolute;
        ``expected``: the size that noise alone gives it; ``one_sided``: share of the errors on the
        larger side; ``sentence``; ``budget``: the same of the largest products of all columns (N
        and D together are the budget), or None.
    """
    name = next((n for n, column in misfit.columns.items() if column.ndim == 1), None)
    if name is None:
        return None
    top = top_rows(misfit.columns[name])
    rest = _subset(misfit, ~top)
    free = len(misfit.space.free)
    if len(rest.target) < free + 2 or not _spread(rest.columns):
        return None
    response = misfit.scale.back(rest.target)
    starts = misfit.space.law.starts(rest.columns, response, 32)
    found = search(rest, starts).solution
    best = found.coordinates[[np.argmin(found.value)]]
    best = minimise(rest, best, *misfit.space.limits).coordinates
    budget = _check_budget(misfit, best)
    return _judged(misfit, name, misfit.columns[name], top, best) | {"budget": budget}


def _check_budget(misfit: Misfit, start: Array) -> dict | None:
    """The same check along the product of all columns; the refit begins at another's best."""
    columns = {name: c for name, c in misfit.columns.items() if c.ndim == 1 and (c > 0).all()}
    if len(columns) < 2:
        return None
    product = np.exp(np.sum([np.log(column) for column in columns.values()], axis=0))
    top = top_rows(product)
    rest = _subset(misfit, ~top)
    if len(rest.target) < len(misfit.space.free) + 2 or not _spread(rest.columns):
        return None
    best = minimise(rest, start, *misfit.space.limits, stride=misfit.space.strides).coordinates
    return _judged(misfit, " ".join(columns), product, top, best)


def _judged(misfit: Misfit, name: str, along: Array, top: Array, best: Array) -> dict:
    """How well a refit without the top rows, at `best`, predicts them."""
    rest, above = _subset(misfit, ~top), _subset(misfit, top)
    error = misfit.scale.error(above.residual(best)[0])
    account = _account(name, along, top, error, misfit.scale)
    return account | {"expected": _expected_error(rest, above, best)}


def _expected_error(rest: Misfit, above: Misfit, best: Array) -> float:
    """Standard error of the mean error above: that of the fit carried up, and of the points there.

    By linear propagation, with the noise read off the middle of the residuals and the variance of
    a fit that is nearly one of least absolute deviations, pi / 2 times that of least squares.
    """
    spare = len(rest.target) - len(rest.space.free)
    middle = np.median(np.abs(rest.residual(best)[0])) / 0.6745
    variance = middle**2 * len(rest.target) / spare
    seen, carried = rest.residual_jacobian(best), above.residual_jacobian(best).mean(axis=1)
    spread = np.pi / 2 * carried @ np.linalg.pinv(seen @ seen.T) @ carried
    return float(np.sqrt(variance * (spread + 1 / len(above.target))))


def _account(name: str, column: Array, top: Array, error: Array, scale: ErrorScale) -> dict:
    beyond = float(column[top].max() / column[~top].max())
    mean, above = float(np.mean(error)), float(np.mean(error > 0))
    one_sided = max(above, 1 - above)
    sides = "all" if one_sided == 1 and len(error) > 1 else f"{one_sided:.0%}"
    return {
        "column": name,
        "value": float(column[top].min()),
        "beyond": beyond,
        "points": int(top.sum()),
        "error": mean,
        "one_sided": one_sided,
        "sentence": f"fitted without {name} >= {column[top].min():.3g} ({beyond:.2g}x beyond the"
        f" rest), the law predicts those {int(top.sum())} points"
        f" {scale.say(mean, sign='+')} off"
        f" ({sides} on one side)",
    }


def _subset(misfit: Misfit, rows: Array) -> Misfit:
    return replace(
        misfit,
        columns={name: column[..., rows] for name, column in misfit.columns.items()},
        target=misfit.target[rows],
        weight=misfit.weight[rows],
        sharpness=misfit.sharpness[rows],
    )


def _spread(columns: Columns) -> bool:
    return all(len(np.unique(column)) > 1 for column in columns.values() if column.ndim == 1)
