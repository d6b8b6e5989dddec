"""What a learning-rate schedule has done to a run: its area, and the annealing felt so far.

Everything here is a function of the schedule alone, at every step of a run that starts at step 0 or
1. Only drops after the end of the warm-up count (arXiv:2408.11029).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

Array = np.ndarray


def warmup_end(lr: Array) -> int:
    """Index of the first step at which the learning rate has stopped rising."""
    rising = np.diff(lr) > 0
    first = int(np.argmax(lr > 0))  # steps at zero before the rise belong to the warm-up
    stops = np.flatnonzero(~rising[first:])
    return first + (int(stops[0]) if len(stops) else len(lr) - 1)


def without_warmup(lr: Array) -> Array:
    """The schedule with its warm-up replaced by the learning rate at its end."""
    end = warmup_end(lr)
    return np.concatenate([np.full(end, lr[end]), lr[end:]])


def drop_momentum(lr: Array, decay: Array) -> Array:
    """m_i = decay m_(i-1) + (lr_(i-1) - lr_i) for several decays, shape (decays, steps).

    The recurrence is summed by doubling: after the pass of stride k, each entry holds the drops of
    its last 2k steps.
    """
    drops = np.concatenate([[0.0], -np.diff(lr)])
    momentum = np.repeat(drops[None], len(decay), axis=0)
    stride = 1
    while stride < len(lr):
        weight = decay**stride
        if weight.max() < 1e-16:
            break
        momentum[:, stride:] += weight[:, None] * momentum[:, :-stride]
        stride *= 2
    return momentum


def felt_drop(lr: Array, decay: Array) -> Array:
    """(1 - decay) S2, shape (decays, steps): how much of the drop so far has been felt.

    S2 is the sum of the momentum so far. Summing the recurrence gives it without a second sum:
    (1 - decay) S2 = (total drop so far) - decay * momentum.
    """
    return (lr[0] - lr) - decay[:, None] * drop_momentum(lr, decay)


def whole_runs(frame: pd.DataFrame) -> list[tuple[Array, Array]]:
    """(positions in the frame, lr) of each run, in the order of its steps.

    Raises
    ------
    ValueError
        If a run does not have one row for each step from its first, or its lr is not a number.
    """
    runs = frame["run"].to_numpy()
    step, lr = (pd.to_numeric(frame[c], errors="coerce").to_numpy(float) for c in ("step", "lr"))
    found = []
    for run, at in pd.Series(np.arange(len(frame))).groupby(runs, sort=False):
        at = at.to_numpy()[np.argsort(step[at], kind="stable")]
        _check_steps(str(run), step[at])
        if not (np.isfinite(lr[at]) & (lr[at] >= 0)).all() or lr[at].max() <= 0:
            raise ValueError(f"run {str(run)!r}: column 'lr' must hold numbers >= 0 at every step")
        found.append((at, lr[at]))
    return found


def _check_steps(run: str, step: Array) -> None:
    if not np.isfinite(step).all():
        raise ValueError(f"run {run!r}: column 'step' must hold numbers")
    if step[0] not in (0, 1):
        raise ValueError(
            f"run {run!r} begins at step {step[0]:g}: the law needs the learning rate at every step"
            " from 0 or 1 on, with that of the parent run before a branch"
        )
    gap = np.diff(step)
    if (gap == 0).any():
        raise ValueError(f"run {run!r} has step {step[:-1][gap == 0][0]:g} more than once")
    if (gap != 1).any():
        at = int(np.flatnonzero(gap != 1)[0])
        raise ValueError(
            f"run {run!r} jumps from step {step[at]:g} to {step[at + 1]:g}: the law needs the"
            " learning rate at every step; leave loss empty where it was not measured"
        )
