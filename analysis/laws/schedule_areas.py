"""What a learning-rate schedule has done to a run: its area, and the annealing felt so far.

Everything here is a function of the schedule alone, of a run that starts at step 0 or 1. Only drops
after the end of the warm-up count (arXiv:2408.11029). Between two rows of a run the learning rate
lies on a straight line, so that a thinned run (`analysis.thin_curves`) is summed in closed form.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scalinglab.scaling.errors import UserError

Array = np.ndarray

_RISE = 0.1  # of the peak: a smaller rise is no new warm-up
_SUDDEN = 3.0  # times as fast as any fall before


def warmup_end(lr: Array) -> int:
    """Index of the first step at which the learning rate has stopped rising."""
    rising = np.diff(lr) > 0
    first = int(np.argmax(lr > 0))  # steps at zero before the rise belong to the warm-up
    stops = np.flatnonzero(~rising[first:])
    return first + (int(stops[0]) if len(stops) else len(lr) - 1)


def without_warmup(lr: Array) -> Array:
    """The schedule, shape (steps,), with its warm-up replaced by the learning rate at its end."""
    end = warmup_end(lr)
    return np.concatenate([np.full(end, lr[end]), lr[end:]])


def without_final_zero(step: Array, lr: Array) -> Array:
    """The schedule with a zero at its last row alone taken for the rate before it.

    Schedulers write a learning rate of zero once training has ended, with whatever schedule. A
    cooldown to zero, however few of its steps are known, passes through rates below half of the
    peak, or falls no faster at its last step than before.
    """
    if len(lr) < 3 or lr[-1] != 0 or lr[-2] <= 0.5 * lr.max():
        return lr
    falls = -np.diff(lr) / np.diff(step)
    return np.append(lr[:-1], lr[-2]) if falls[-1] > _SUDDEN * falls[:-1].max() else lr


def lr_area(lr: Array, step: Array | None = None) -> Array:
    """Sum of the learning rates of all steps up to each row, its own included."""
    if step is None:
        return np.cumsum(lr)
    gap = np.diff(step)
    between = gap * (lr[:-1] + lr[1:]) / 2 + np.diff(lr) / 2  # an arithmetic series
    return lr[0] + np.concatenate([[0.0], np.cumsum(between)])


def drop_momentum(lr: Array, decay: Array, step: Array | None = None) -> Array:
    """m_i = decay m_(i-1) + (lr_(i-1) - lr_i) for several decays, shape (decays, rows).

    The recurrence is summed by doubling: after the pass of stride k, each entry holds the drops of
    its last 2k rows. A row that stands for several steps has as many equal drops.
    """
    momentum = np.zeros((len(decay), len(lr)))
    momentum[:, 1:] = -np.diff(lr)
    gap = None if step is None else np.diff(step)
    if gap is not None and (gap == 1).all():
        step = gap = None
    if gap is not None:
        momentum[:, 1:] *= (1 - decay[:, None] ** gap) / (1 - decay[:, None]) / gap
    stride = 1
    while stride < len(lr):
        span = stride if step is None else step[stride:] - step[:-stride]
        weight = decay[:, None] ** span
        if weight.max() < 1e-16:
            break
        momentum[:, stride:] += weight * momentum[:, :-stride]
        stride *= 2
    return momentum


def felt_drop(lr: Array, decay: Array, step: Array | None = None) -> Array:
    """(1 - decay) S2, shape (decays, rows): how much of the drop so far has been felt.

    S2 is the sum of the momentum so far. Summing the recurrence gives it without a second sum:
    (1 - decay) S2 = (total drop so far) - decay * momentum.
    """
    return (lr[0] - lr) - decay[:, None] * drop_momentum(lr, decay, step)


def highest_rates(frame: pd.DataFrame) -> tuple[float, float]:
    """The lowest and the highest of the runs' peak learning rates."""
    peaks = [float(lr.max()) for _, _, lr in whole_runs(frame)]
    return min(peaks), max(peaks)


def runs_that_rewarm(frame: pd.DataFrame) -> list[str]:
    """Runs whose learning rate rises again once it has fallen."""
    names = []
    for at, _, lr in whole_runs(frame):
        after = lr[warmup_end(lr) :]
        if (after - np.minimum.accumulate(after)).max() > _RISE * lr.max():
            names.append(str(frame["run"].iloc[at[0]]))
    return names


def every_step(step: Array, lr: Array) -> Array:
    """The learning rate of each step from a run's first row to its last."""
    return np.interp(np.arange(step[0], step[-1] + 1), step, lr)


def whole_runs(frame: pd.DataFrame) -> Iterator[tuple[Array, Array, Array]]:
    """(positions in the frame, step, lr) of each run, in the order of its steps.

    Raises
    ------
    UserError
        If a run does not have one row for each step from its first (unless its column ``thinned``
        says that `analysis.thin_curves` left some out), or its lr is not a number.
    """
    runs = frame["run"].to_numpy()
    steps, rates = (
        pd.to_numeric(frame[name], errors="coerce").to_numpy(float) for name in ("step", "lr")
    )
    thinned = frame["thinned"].to_numpy(bool) if "thinned" in frame else np.zeros(len(frame), bool)
    for run, rows in pd.Series(np.arange(len(frame))).groupby(runs, sort=False).indices.items():
        at = np.asarray(rows)[np.argsort(steps[rows], kind="stable")]
        step, lr = steps[at], rates[at]
        _check_steps(str(run), step, bool(thinned[at].all()))
        if not (np.isfinite(lr) & (lr >= 0)).all() or lr.max() <= 0:
            raise UserError(f"run {str(run)!r}: column 'lr' must hold numbers >= 0 at every step")
        if len(step) > 1 and step[-1] - step[-2] == 1:  # of a thinned run: no straight cooldown
            lr = without_final_zero(step, lr)
        yield at, step, lr


def _check_steps(run: str, step: Array, thinned: bool) -> None:
    if not np.isfinite(step).all():
        raise UserError(f"run {run!r}: column 'step' must hold numbers")
    if step[0] not in (0, 1):
        raise UserError(
            f"run {run!r} begins at step {step[0]:g}: the law needs the learning rate at every step"
            " from 0 or 1 on, with that of the parent run before a branch"
        )
    gap = np.diff(step)
    if (gap == 0).any():
        raise UserError(f"run {run!r} has step {step[:-1][gap == 0][0]:g} more than once")
    if (gap != 1).any() and not thinned:
        at = int(np.flatnonzero(gap != 1)[0])
        raise UserError(
            f"run {run!r} jumps from step {step[at]:g} to {step[at + 1]:g}: the law needs the"
            " learning rate at every step; leave loss empty where it was not measured"
        )
