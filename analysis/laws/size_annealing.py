"""Loss curves of several sizes, with annealing measured as Adam would: by its pace.

    L = L0 + lS S1^-aS + lN (N/1e8)^-aN - lM M

M is the sum over steps of m / (sqrt(1e5 v + 1e-8) + 1e-8), where m and v are Adam's running means
(.9 and .999, corrected for their start) of the drops of the learning rate and of their squares. It
has no parameter of its own, unlike the decay of `joint_annealing`.

The formula is the paper's; M was not found in its text and follows the authors' code, with drops
counted at each step and after the warm-up only. Its sign is that of their code: lM is positive.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.joint_annealing import ENDLESS, JOINT_ANNEALING, REFERENCE, sizes
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register
from scalinglab.analysis.laws.schedule_areas import (
    drop_momentum,
    every_step,
    warmup_end,
    whole_runs,
    without_warmup,
)

_FIRST, _SECOND = 0.9, 0.999
_SCALE, _LEAST = 1e5, 1e-8  # as in the authors' code


def momentum_area(lr: Array) -> Array:
    """M at each step of a schedule, shape (steps,)."""
    lr = without_warmup(lr)
    count = np.arange(1, len(lr) + 1)
    squares = -np.cumsum(np.diff(lr, prepend=lr[0]) ** 2)  # a schedule with these drops
    mean, square = (
        (1 - decay) / (1 - decay**count) * drop_momentum(path, np.array([decay]))[0]
        for path, decay in ((lr, _FIRST), (squares, _SECOND))
    )
    return np.cumsum(mean / (np.sqrt(_SCALE * square + _LEAST) + _LEAST))


def areas_and_size(frame: pd.DataFrame, wanted: Array | None = None) -> Columns:
    """N, S1 and M, shape (n,) each, of the wanted rows of whole runs; NaN during the warm-up.

    Raises
    ------
    UserError
        If N is not a positive number.
    """
    wanted = np.ones(len(frame), bool) if wanted is None else wanted
    N = sizes(frame, wanted)
    place = np.cumsum(wanted) - 1
    area, momentum = np.full((2, int(wanted.sum())), np.nan)
    for at, step, rates in whole_runs(frame):
        rows = warmup_end(rates) + np.flatnonzero(wanted[at[warmup_end(rates) :]])
        lr, positions = every_step(step, rates), (step[rows] - step[0]).astype(int)
        area[place[at[rows]]] = np.cumsum(lr)[positions]
        momentum[place[at[rows]]] = momentum_area(lr)[positions]
    return {"N": N, "S1": area, "M": momentum}


def _value(
    N: Array, S1: Array, M: Array, L0: Array, lS: Array, aS: Array, lN: Array, aN: Array, lM: Array
) -> Array:
    trained = L0 + lS * np.exp(-aS * np.log(S1))
    return trained + lN * np.exp(-aN * np.log(N / REFERENCE)) - lM * M


SIZE_ANNEALING = register(
    Law(
        name="size_annealing",
        formula="L = L0 + lS S1^-aS + lN (N/1e8)^-aN - lM M",
        source="Wang et al. 2025, arXiv:2512.13705 (M after the authors' code)",
        needs=JOINT_ANNEALING.needs,
        columns={
            "N": "parameters",
            "S1": "learning-rate area",
            "M": "area of the annealing momentum",
        },
        prepare=areas_and_size,
        curve=True,
        parameters=(
            ENDLESS,
            Parameter("lS", scale="log", unit="nats/token", meaning="coefficient of the area"),
            Parameter(
                "aS", (0.1, 1.0), low=0, high=5, meaning="exponent of the area", role="exponent"
            ),
            Parameter("lN", scale="log", unit="nats/token", meaning="size term at 1e8 parameters"),
            Parameter(
                "aN", (0.1, 1.0), low=0, high=5, meaning="exponent of the size", role="exponent"
            ),
            Parameter("lM", scale="log", unit="nats/token", meaning="worth of annealing"),
        ),
        value=_value,
        linear=("L0", "lS", "lN", "lM"),
    )
)
