"""The drops of a learning rate, as a few nodes for each step that looks back on them.

Laws that give every drop its own response, sum_k (lr_(k-1) - lr_k) f(S_k, lr_k) with S_k the area
since the drop, cost O(T^2) as they stand. But f is smooth in log S_k, so drops far back may share a
node. Each step looks back through panels that double in length; within a panel two nodes carry its
drops, placed so that they have its total, mean and variance (the two-point Gauss rule of a
symmetric measure). One drop alone, as in a step decay, is exact. Tests measure the error against
the exact sum: below 1e-3 of a full drop from the peak, mostly a tenth of that; 5e-3 where the rise
of the warm-up counts, which spans decades of learning rate (1e-5 nats in published curves).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.law import Columns
from scalinglab.analysis.laws.schedule_areas import every_step, warmup_end, whole_runs

Array = np.ndarray

_LEAST_LR = 1e-12  # of the peak: a learning rate of zero has a logarithm too


def node_columns(frame: pd.DataFrame, wanted: Array | None, *, warmup: bool) -> Columns:
    """S1, shape (n,), and `drop_nodes`, flat, (3 nodes, n), of the wanted rows of whole runs.

    NaN before the end of a run's warm-up, which the laws do not describe.
    """
    wanted = np.ones(len(frame), bool) if wanted is None else wanted
    place = np.cumsum(wanted) - 1
    area = np.full(int(wanted.sum()), np.nan)
    parts = []
    for at, step, rates in whole_runs(frame):
        rows = warmup_end(rates) + np.flatnonzero(wanted[at[warmup_end(rates) :]])
        lr, looking = every_step(step, rates), (step[rows] - step[0]).astype(int)
        area[place[at[rows]]] = np.cumsum(lr)[looking]
        parts.append((place[at[rows]], drop_nodes(lr, looking, warmup=warmup)))
    nodes = np.zeros((3, max(part.shape[1] for _, part in parts), len(area)))
    nodes[2] = 1
    for rows, part in parts:
        nodes[:, : part.shape[1], rows] = part
    return {"S1": area, "nodes": nodes.reshape(-1, len(area))}


def drop_nodes(lr: Array, at: Array, *, warmup: bool) -> Array:
    """Nodes of the drops that each of some steps looks back on, shape (3, nodes, len(at)).

    Parameters
    ----------
    lr : array, shape (steps,)
        Learning rate at every step of one run.
    at : array of int
        Steps that look back.
    warmup : bool
        Whether the rise from zero during the warm-up counts, as negative drops; later rises do.

    Returns
    -------
    array
        For each node its drop, log(lr) after the drop, and the area since, the drop's own step
        included. Nodes that are not needed have a drop of 0.
    """
    drop = -np.diff(lr, prepend=0.0)
    if not warmup:
        drop[: warmup_end(lr) + 1] = 0
    parts = [_one_sign(lr, np.maximum(sign * drop, 0), at, sign) for sign in (1.0, -1.0)]
    return _packed(np.concatenate(parts, axis=1))


def _one_sign(lr: Array, drop: Array, at: Array, sign: float) -> Array:
    if not drop.any():
        return np.zeros((3, 0, len(at)))
    area, log_lr = np.cumsum(lr), np.log(np.maximum(lr, _LEAST_LR * lr.max()))
    before = area - lr  # the area since step k is area[at] - before[k]
    edges = np.concatenate([[0], 2 ** np.arange(len(lr).bit_length() + 1)])
    end = np.maximum(at - edges[:-1, None], -1) + 1
    begin = np.maximum(at - edges[1:, None], -1) + 1
    moments = (np.ones_like(lr), before, before**2, log_lr, log_lr * before)
    total, *sums = (_between(np.cumsum(drop * moment), begin, end) for moment in moments)
    mean, square, mean_log, product = (s / np.where(total > 0, total, 1) for s in sums)
    width = np.sqrt(np.maximum(square - mean**2, 0)) * (end - begin > 1)
    slope = (product - mean * mean_log) / np.where(width > 0, width, 1) * (width > 0)
    nearest, farthest = area[at] - before[np.maximum(end - 1, 0)], area[at] - before[begin]
    nodes = []
    for side in (1, -1):
        since = np.clip(area[at] - mean - side * width, nearest, farthest)
        nodes.append(np.stack([sign * total / 2, mean_log + side * slope, since]))
    return np.concatenate(nodes, axis=1)


def _between(cumulative: Array, begin: Array, end: Array) -> Array:
    padded = np.concatenate([[0.0], cumulative])
    return padded[end] - padded[begin]


def _packed(nodes: Array) -> Array:
    """Nodes with a drop first, and no more of them than some step needs."""
    is_node = nodes[0] != 0
    order = np.argsort(~is_node, axis=0, kind="stable")
    most = int(is_node.sum(axis=0).max(initial=0))
    packed = np.take_along_axis(nodes, order[None], axis=1)[:, :most]
    packed[1:, packed[0] == 0] = np.array([[0.0], [1.0]])
    return packed
