"""Many small non-negative least-squares problems at once."""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.error_scale import Errors

Array = np.ndarray


def nonnegative_coefficients(basis: Array, target: Array, errors: Errors = "relative") -> Array:
    """Coefficients >= 0 that bring each basis nearest to the target.

    With a handful of coefficients, trying every set of positive ones is exact and, done for all
    problems together, faster than an active-set search for each.

    Parameters
    ----------
    basis : array, shape (batch, k, n)
    target : array, shape (n,)
        Positive, where errors are relative.
    errors : {"relative", "absolute"}
        Which squares are least: of errors relative to the target, or as they are.

    Returns
    -------
    array, shape (batch, k)
    """
    if errors == "relative":
        basis, target = basis / target, np.ones(len(target))
    gram = basis @ basis.transpose(0, 2, 1)
    size = np.sqrt(np.einsum("bii->bi", gram))
    size = np.where((size > 0) & np.isfinite(size), size, np.inf)  # dead columns get zero
    gram = np.nan_to_num(gram / size[:, :, None] / size[:, None, :])
    pull = np.nan_to_num(basis @ target / size)
    best = np.zeros(pull.shape)
    gain = np.zeros(len(pull))
    for chosen in product((False, True), repeat=pull.shape[1]):
        if not any(chosen):
            continue
        on = np.flatnonzero(chosen)
        ridge = 1e-12 * np.eye(len(on))  # two nearly equal columns share their coefficient
        trial = np.linalg.solve(gram[:, on][:, :, on] + ridge, pull[:, on, None])[..., 0]
        reached = (trial * pull[:, on]).sum(-1)
        better = (trial >= 0).all(-1) & (reached > gain)
        best[better] = 0
        best[np.ix_(better, on)] = trial[better]
        gain = np.where(better, reached, gain)
    return best / size
