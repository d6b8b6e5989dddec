"""Starts of a fit: spread evenly over the ranges of the parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scalinglab.analysis.laws.parameter import Array, Parameter

DEFAULT_STARTS = 64
_ROWS = 2000  # that a law's own starts are read off
_DIMENSIONS = 12  # further parameters share them: beyond, Halton's columns are correlated


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


def _halton(count: int) -> Array:
    """`count` points spread over the unit cube of `_DIMENSIONS` (Halton's sequence)."""
    from scipy.stats.qmc import Halton  # takes .4 s to load; some laws have starts of their own

    # Unscrambled: equal fits begin at equal places. Even from the first few on, unlike a random
    # draw.
    sequence = Halton(_DIMENSIONS, scramble=False)
    sequence.fast_forward(1)  # its first point is zero
    return sequence.random(count)
