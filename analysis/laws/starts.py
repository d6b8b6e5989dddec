"""Starts of a fit: spread evenly over the ranges of the parameters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from scalinglab.analysis.laws.parameter import Array, Parameter

DEFAULT_STARTS = 64
_ROWS = 2000  # that a law's own starts are read off
_PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
_DIMENSIONS = len(_PRIMES)  # further parameters share them: Halton's later columns are correlated


def spread_starts(parameters: Sequence[Parameter], count: int | None = None) -> Array:
    """Starts spread over the ranges of some parameters, shape (count, parameters)."""
    count = DEFAULT_STARTS if count is None else count
    params, spread = np.empty((count, len(parameters))), _halton(count)
    for k, parameter in enumerate(parameters):
        low, high = parameter.to_unconstrained(np.array(parameter.start))
        params[:, k] = parameter.from_unconstrained(low + (high - low) * spread[:, k % _DIMENSIONS])
    return params


def resized_starts(parameters: Sequence[Parameter], starts: Array, count: int) -> Array:
    """`count` starts from a law's own: every so many-th, or more of them, moved by up to a fifth
    (a factor of e^0.5 on a logarithmic scale).
    """
    if count <= len(starts):
        return starts[np.linspace(0, len(starts) - 1, count).round().astype(int)]
    more = np.resize(starts, (count - len(starts), starts.shape[1]))
    spread = _halton(len(more)) - 0.5
    for k, parameter in enumerate(parameters):
        u, away = parameter.to_unconstrained(more[:, k]), spread[:, k % _DIMENSIONS]
        moved = u * (1 + 0.4 * away) if parameter.scale == "linear" else u + away
        more[:, k] = parameter.from_unconstrained(np.clip(moved, *parameter.limits()))
    return np.concatenate([starts, more])


def some_rows(columns: dict[str, Array], response: Array) -> tuple[dict[str, Array], Array]:
    """At most `_ROWS` rows, evenly: a start need not be better, and millions would not fit."""
    step = -(-len(response) // _ROWS)
    return {name: column[..., ::step] for name, column in columns.items()}, response[::step]


@cache
def _halton(count: int) -> Array:
    """`count` points spread over the unit cube of `_DIMENSIONS` (Halton's sequence), read only.

    Unscrambled, as equal fits begin at equal places, and without its first point, which is zero.
    Even from the first few on, unlike a random draw. Coordinate k of point i is i in the base of
    the k-th prime, mirrored at the point.
    """
    points = np.zeros((count, _DIMENSIONS))
    for k, base in enumerate(_PRIMES):
        left, digit = np.arange(1, count + 1), 1.0 / base
        while left.any():
            points[:, k] += left % base * digit
            left, digit = left // base, digit / base
    points.flags.writeable = False  # all fits share it
    return points
