"""Starts of a law: spread over its ranges, with its linear parameters solved for."""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients

DEFAULT_STARTS = 64
_ROWS = 2000
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


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
    params = np.empty((count, len(law.parameters)))
    for k, parameter in enumerate(law.parameters):
        low, high = parameter.inward(np.array(parameter.start))
        spread = _halton(count, _PRIMES[k % len(_PRIMES)])
        params[:, k] = parameter.outward(low + (high - low) * spread)
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
    for k, parameter in enumerate(law.parameters):
        u, away = parameter.inward(more[:, k]), _halton(len(more), _PRIMES[k % len(_PRIMES)]) - 0.5
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


def _halton(count: int, base: int) -> Array:
    """`count` well-spread numbers in 0..1."""
    points, scale, rest = np.zeros(count), 1.0, np.arange(1, count + 1)
    while rest.any():
        scale /= base
        points += scale * (rest % base)
        rest //= base
    return points
