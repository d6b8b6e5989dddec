"""A check of extrapolation: the same fit without the largest scale predicts that scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalinglab.analysis.fitting.levenberg_marquardt import minimise
from scalinglab.analysis.fitting.misfit import Misfit
from scalinglab.analysis.intervals.freedom import freedom
from scalinglab.analysis.laws.error_scale import ErrorScale
from scalinglab.analysis.laws.law import Columns
from scalinglab.analysis.tables.powers import of_column

Array = np.ndarray

_RARE = 2e-4  # where the tails of a standard error that is poorly known are compared
_LEANING = 2.0  # standard deviations of a fair coin's heads, from which errors lie on one side
_LEAST_LEANING = 3  # errors, of which all on one side say something
_TOP_SHARE = 0.1  # of the rows, where there are no rungs to hold out


def top_rows(column: Array) -> Array:
    """Rows of the largest rung, or of the top tenth where sizes hardly repeat."""
    sizes = np.unique(column)
    if len(sizes) <= max(len(column) / 2, 8):
        return column >= sizes[-1]
    return column >= np.quantile(column, 1 - _TOP_SHARE)


def check_top(misfit: Misfit, best: Array, group: Array) -> dict | None:
    """Refit without the largest scale and predict it; None where too little would be left.

    Parameters
    ----------
    misfit : Misfit
    best : array, shape (1, free)
        Coordinates of the best fit, from which the refits start.
    group : array of int, shape (n,)
        The independent group of each row.

    Returns
    -------
    dict
        ``column`` and ``value``: the column that was cut, and the smallest value held out;
        ``beyond``: that value over the largest one fitted; ``points``: number of points held out;
        ``error``: mean of predicted / measured - 1, or of predicted - measured where errors are
        absolute; ``expected``: the standard error that noise alone gives it; ``one_sided``: share
        of the errors on the larger side; ``impossible``: points without a possible prediction (if
        there are any, ``error`` and ``one_sided`` are NaN); ``sentence``; ``budget``: the same for
        the largest products of all columns (N and D together are the budget), or None.
    """
    columns = {name: column for name, column in misfit.columns.items() if column.ndim == 1}
    if not columns:
        return None
    name, column = next(iter(columns.items()))
    account = _refit_and_judge(misfit, name, column, best, group)
    if account is None:
        return None
    positive = {n: c for n, c in columns.items() if (c > 0).all()}
    budget = None
    if len(positive) > 1:
        product = np.exp(np.sum([np.log(c) for c in positive.values()], axis=0))
        budget = _refit_and_judge(misfit, " ".join(positive), product, best, group)
    return account | {"budget": budget}


def _refit_and_judge(
    misfit: Misfit, name: str, along: Array, best: Array, group: Array
) -> dict | None:
    """How well a refit without the top of `along` predicts it; None if too little is left."""
    top = top_rows(along)
    below = subset(misfit, ~top)
    if below.censored is not None:
        below = replace(below, censored=below.censored.up_to(below.columns))
    if len(below.target) < len(misfit.space.free) + 2 or not _spread(below.columns):
        return None
    refitted = minimise(
        below, best, *misfit.space.limits, max_step=misfit.space.max_steps, damping=1e-4
    )
    return _judged(misfit, name, along, top, refitted.coordinates, group)


def _judged(misfit: Misfit, name: str, along: Array, top: Array, best: Array, group: Array) -> dict:
    """How well a refit without the top rows, at `best`, predicts them."""
    below, above = subset(misfit, ~top), subset(misfit, top)
    error = misfit.scale.error(above.residual(best)[0])
    account = _account(name, along, top, error, misfit.scale)
    return account | {"expected": _expected_error(below, above, best, group[~top], group[top])}


def _expected_error(
    below: Misfit, above: Misfit, best: Array, group: Array, group_above: Array
) -> float:
    """Standard error of the mean error of the points above the cut, from the fit and from noise.

    By linear propagation. The noise comes from the median of the residuals; the variance of a fit
    close to least absolute deviations is pi / 2 times that of least squares. Rows of a group share
    a part of their errors, which few groups estimate poorly: then the error is widened as the tails
    of Student's t are.
    """
    n, residual = len(below.target), below.residual(best)[0]
    spare = n - len(below.space.free)
    middle = np.median(np.abs(residual)) / 0.6745  # a normal's median size, in its deviations
    rest_jacobian, carried = (
        below.residual_jacobian(best),
        above.residual_jacobian(best).mean(axis=1),
    )
    basis, singular, _ = np.linalg.svd(rest_jacobian.T, full_matrices=False)
    basis = basis[:, singular > 1e-9 * singular[0]]
    pull = (
        np.linalg.pinv(rest_jacobian) @ carried
    )  # what the error of each row does to the mean above
    if len(np.unique(group)) == n:
        variance = middle**2 * n / spare
        return float(np.sqrt(variance * (np.pi / 2 * pull @ pull + 1 / len(above.target))))
    # scipy takes 0.2 s to import: fits without clusters do not wait for it.
    from scipy.special import ndtri, stdtrit

    own_variance, shared = _parts(residual, basis, group)
    mean_above = np.bincount(group_above) / len(above.target)
    variance = own_variance * (np.pi / 2 * pull @ pull + 1 / len(above.target))
    variance += shared * (np.pi / 2 * _squares(pull, group) + mean_above @ mean_above)
    few = stdtrit(
        freedom(rest_jacobian, np.unique(group, return_inverse=True)[1]).degrees.min(), _RARE
    )
    return float(np.sqrt(variance) * few / ndtri(_RARE))


def _parts(residual: Array, basis: Array, group: Array) -> tuple[float, float]:
    """Variance of the errors of single rows, and of the errors that the rows of a group share.

    From two moments of the residuals: their sum of squares, and that of their sums over groups.
    Both are corrected for the fit, whose Jacobian has the orthonormal `basis`.
    """
    size = np.bincount(group).astype(float)
    sums = np.stack([np.bincount(group, column) for column in basis.T], axis=1)
    squared = sums.T @ sums
    per_row = len(residual) - basis.shape[1]
    per_group = float(size.sum() - np.trace(squared))
    both = float(size @ size - 2 * size @ (sums**2).sum(axis=1) + np.sum(squared**2))
    observed = np.array([residual @ residual, _squares(residual, group)])
    moments = np.array([[per_row, per_group], [per_group, both]])
    own_variance, shared = np.linalg.lstsq(moments, observed, rcond=None)[0]
    if shared <= 0:
        return float(observed[0] / per_row), 0.0
    return max(float(own_variance), 0.0), float(shared)


def _squares(values: Array, group: Array) -> float:
    """Sum of the squares of the sums over groups."""
    return float(np.sum(np.bincount(group, values) ** 2))


def _account(name: str, column: Array, top: Array, error: Array, scale: ErrorScale) -> dict:
    beyond = float(column[top].max() / column[~top].max())
    mean, above = float(np.mean(error)), float(np.mean(error > 0))
    one_sided = max(above, 1 - above)
    count = int(top.sum())
    an_error = "an error" if count == 1 else "a mean error"
    predicts = f"predicts {'it' if count == 1 else 'them'} with {an_error} of"
    predicts += f" {scale.say(mean, sign='+')}{lean_in_words(error)}"
    impossible = int((~np.isfinite(error)).sum())
    if impossible:
        predicts = f"predicts impossible values at {impossible} of {len(error)}"
        mean = one_sided = float("nan")
    return {
        "column": name,
        "value": float(column[top].min()),
        "beyond": beyond,
        "points": int(top.sum()),
        "error": mean,
        "one_sided": one_sided,
        "impossible": impossible,
        "sentence": f"a fit without the {'point' if count == 1 else f'{count} points'} with"
        f" {name} >= {of_column(name, column[top].min())} (up to {beyond:.2g}x the largest fitted)"
        f" {predicts}",
    }


def lean_in_words(error: Array) -> str:
    """On which side the errors lie, where chance would hardly put so many; else empty."""
    count, high = len(error), int(np.sum(error > 0))
    most = max(high, count - high)
    leans = 2 * most - count >= _LEANING * np.sqrt(count)
    if (most < count and not leans) or count < _LEAST_LEANING:
        return ""
    side = "high" if high == most else "low"
    return f" ({'all' if most == count else f'{most} of {count}'} too {side})"


def subset(misfit: Misfit, rows: Array) -> Misfit:
    """The same misfit of some rows, an array of bool."""
    return replace(
        misfit,
        columns={name: column[..., rows] for name, column in misfit.columns.items()},
        target=misfit.target[rows],
        weight=misfit.weight[rows],
        sharpness=misfit.sharpness[rows],
    )


def _spread(columns: Columns) -> bool:
    return all(len(np.unique(column)) > 1 for column in columns.values() if column.ndim == 1)
