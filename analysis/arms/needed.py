"""How much of something a law needs for a loss: compute along a ladder, or tokens."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalinglab.analysis.laws.law import Array

# Losses of some resamples, (rows,) of their indices, at amounts, (n,) or (rows, n): (rows, n).
LossesAt = Callable[[Array, Array], Array]

REACH = 1e4  # factor, up and down, within which the amount is searched
_CELLS = 40
_PARTS = 20  # of the cell in which the loss is reached


def amount_needed(losses_at: LossesAt, start: float, targets: Array) -> Array:
    """The least amount at which each resample reaches its loss.

    Losses between the points of a grid are interpolated over the logarithm of the amount. The grid
    is fine only around where the loss is reached: a fine one throughout takes ten times as long.

    Parameters
    ----------
    losses_at : callable
        The losses of some of the resamples at amounts.
    start : float
        Middle of the range that is searched; see `REACH`.
    targets : array, shape (resamples,)
        The loss to reach, of each.

    Returns
    -------
    array, shape (resamples,)
        The lowest amount of the range where it suffices; infinite where none of the range does; NaN
        where a loss is not known.
    """
    grid = start * np.geomspace(1 / REACH, REACH, _CELLS * _PARTS + 1)
    coarse, every = grid[::_PARTS], np.arange(len(targets))
    losses = losses_at(every, coarse)
    needed = _where_reached(np.broadcast_to(coarse, losses.shape), losses, targets)
    # A loss that turns may be reached between two points, both of which are above it.
    turning = (np.diff(losses) > 0).any(axis=1) & ~np.isnan(needed)
    rows = every[turning]
    if len(rows):
        lines = np.broadcast_to(grid, (len(rows), len(grid)))
        needed[rows] = _where_reached(lines, losses_at(rows, grid), targets[rows])
    rows = every[~turning & np.isfinite(needed) & (needed > coarse[0])]
    if len(rows):
        cells = np.searchsorted(coarse, needed[rows], side="left") - 1
        fine = grid[cells[:, None] * _PARTS + np.arange(_PARTS + 1)]
        needed[rows] = _where_reached(fine, losses_at(rows, fine), targets[rows])
    return needed


def _where_reached(amounts: Array, losses: Array, targets: Array) -> Array:
    """Where lines of losses, (rows, n), first reach their targets, (rows,)."""
    is_unknown = np.isnan(losses).any(axis=1) | np.isnan(targets)
    losses = np.minimum.accumulate(losses, axis=1)
    is_reached = losses <= targets[:, None]
    last = np.maximum(is_reached.argmax(axis=1), 1)
    rows = np.arange(len(targets))
    high, low = losses[rows, last - 1], losses[rows, last]
    with np.errstate(all="ignore"):  # of lines that are flat, unknown, or never there
        share = np.clip(np.nan_to_num((high - targets) / (high - low)), 0, 1)
        before, after = np.log(amounts[rows, last - 1]), np.log(amounts[rows, last])
        needed = np.exp(before + share * (after - before))
    needed = np.where(is_reached.any(axis=1), needed, np.inf)
    return np.where(is_unknown, np.nan, needed)
