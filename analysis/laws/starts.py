"""Starts of a law: spread over its ranges, with its linear parameters solved for."""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients

DEFAULT_STARTS = 64
_ROWS = 2000
_DIMENSIONS = 12  # further parameters share them: beyond, Halton's columns are correlated


def spread_starts(law: Law, columns: Columns, response: Array, count: int | None = None) -> Array:
    """Starts spread over the law's ranges, shape (count, parameters).

    Parameters in which the law is linear are solved for at each of them (variable projection). A
    law that guesses gives its own starts: all of them by default, else some of them evenly, or all
    and then others around them.
    """
    if law.guess is not None:
        guess = law.guess(columns, response)
        own = np.stack(np.broadcast_arrays(*(guess[name] for name in law.names)), axis=1)
        return own if count is None else _as_many(law, own.astype(float), count)
    count = DEFAULT_STARTS if count is None else count
    params, spread = np.empty((count, len(law.parameters))), _halton(count)
    for k, parameter in enumerate(law.parameters):
        low, high = parameter.inward(np.array(parameter.start))
        params[:, k] = parameter.outward(low + (high - low) * spread[:, k % _DIMENSIONS])
    if law.linear:
        columns, response = _some_rows(columns, response)
        at = [law.names.index(name) for name in law.linear]
        basis = law.jacobian(params, columns)[1][:, at]
        signs = np.where([law.parameters[k].high <= 0 for k in at], -1.0, 1.0)
        offset = _without(law, params, at, columns)
        target = response - offset
        if law.errors == "relative":
            target = np.maximum(target, 1e-3 * response)
        solved = nonnegative_coefficients(basis * signs[:, None], target, law.errors)
        params[:, at] = signs * solved
    return params


def _as_many(law: Law, own: Array, count: int) -> Array:
    """`count` starts from a law's own: every so many-th, or more of them, moved by up to a fifth
    (a factor of e^0.5 on a logarithmic scale)."""
    if count <= len(own):
        return own[np.linspace(0, len(own) - 1, count).round().astype(int)]
    more = np.resize(own, (count - len(own), own.shape[1]))
    spread = _halton(len(more)) - 0.5
    for k, parameter in enumerate(law.parameters):
        u, away = parameter.inward(more[:, k]), spread[:, k % _DIMENSIONS]
        moved = u * (1 + 0.4 * away) if parameter.scale == "linear" else u + away
        more[:, k] = parameter.outward(np.clip(moved, *parameter.limits()))
    return np.concatenate([own, more])


def _some_rows(columns: Columns, response: Array) -> tuple[Columns, Array]:
    """At most `_ROWS` rows, evenly: a start need not be better, and millions would not fit."""
    step = -(-len(response) // _ROWS)
    return {name: column[..., ::step] for name, column in columns.items()}, response[::step]


def _without(law: Law, params: Array, at: list[int], columns: Columns) -> Array:
    """What the law gives with its linear parameters at zero; one curve, the batch's median."""
    bare = params.copy()
    bare[:, at] = 0
    return np.median(law.predict(bare, columns), axis=0)


def _halton(count: int) -> Array:
    """`count` points spread over the unit cube of `_DIMENSIONS` (Halton's sequence)."""
    from scipy.stats.qmc import Halton  # takes .4 s to load; some laws have starts of their own

    sequence = Halton(_DIMENSIONS, scramble=False)
    sequence.fast_forward(1)  # its first point is zero
    return sequence.random(count)
