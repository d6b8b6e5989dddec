"""The momentum law: a loss curve under any learning-rate schedule.

    L(s) = L0 + A S1(s)^-alpha - C S2(s)

S1 is the sum of the learning rate, S2 that of a momentum of its drops with decay `lam`. For S2 the
warm-up enters as if at peak; for S1 its real area counts (counting it at peak doubles the objective
on the curves of arXiv:2503.12811). The decay is best thought of as a memory of 1 / (1 - lam) steps.

S2 is needed at any decay, but summing a schedule again for each trial would be slow, so its smooth
dependence on the logarithm of the memory is tabulated once, as a Chebyshev series.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register
from scalinglab.analysis.laws.schedule_areas import (
    felt_drop,
    lr_area,
    warmup_end,
    whole_runs,
    without_warmup,
)

_SHORTEST, _LONGEST = 2.0, 1e5  # memories, in steps
_TERMS = 32  # of a function that is smooth in the logarithm of the memory
_MIDDLE = 0.5 * np.log(_SHORTEST * _LONGEST)
_HALF = 0.5 * np.log(_LONGEST / _SHORTEST)

# Values at the Chebyshev points -> coefficients of the series.
_ANGLES = np.pi * (np.arange(_TERMS) + 0.5) / _TERMS
TO_SERIES = 2 / _TERMS * np.cos(np.outer(np.arange(_TERMS), _ANGLES))
TO_SERIES[0] /= 2
DECAYS = 1 - np.exp(-(_MIDDLE + _HALF * np.cos(_ANGLES)))


def areas(frame: pd.DataFrame, wanted: Array | None = None) -> Columns:
    """S1, shape (n,), and the series of (1 - lam) S2, shape (terms, n), of the wanted rows.

    NaN before the end of a run's warm-up, which the law does not describe.
    """
    wanted = np.ones(len(frame), bool) if wanted is None else wanted
    place = np.cumsum(wanted) - 1
    area = np.full(int(wanted.sum()), np.nan)
    series = np.full((_TERMS, len(area)), np.nan)
    for at, step, lr in whole_runs(frame):
        rows = warmup_end(lr) + np.flatnonzero(wanted[at[warmup_end(lr) :]])
        area[place[at[rows]]] = lr_area(lr, step)[rows]
        felt = felt_drop(without_warmup(lr), DECAYS, step)[:, rows]
        series[:, place[at[rows]]] = TO_SERIES @ felt
    return {"S1": area, "felt": series}


def _chebyshev(lam: Array) -> tuple[Array, Array]:
    """The series' polynomials at a decay and their derivatives in it, shape (batch, terms)."""
    order = np.arange(_TERMS)
    angle = np.arccos((1 - 1e-12) * (-np.log(1 - lam) - _MIDDLE) / _HALF)  # never quite at an end
    inner = order / (np.sin(angle) * _HALF * (1 - lam))
    return np.cos(order * angle), np.sin(order * angle) * inner


def annealing(felt: Array, lam: Array) -> tuple[Array, Array]:
    """S2 at a decay and its derivative in it, shape (batch, n), from the series of `areas`."""
    polynomials, slopes = _chebyshev(lam)
    area = polynomials @ felt / (1 - lam)
    return area, (area + slopes @ felt) / (1 - lam)


def _value(
    S1: Array, felt: Array, L0: Array, A: Array, alpha: Array, C: Array, lam: Array
) -> Array:
    return L0 + A * np.exp(-alpha * np.log(S1)) - C * annealing(felt, lam)[0]


def _gradient(
    S1: Array, felt: Array, L0: Array, A: Array, alpha: Array, C: Array, lam: Array
) -> tuple[Array, dict[str, Array]]:
    annealed, slope = annealing(felt, lam)
    log_area = np.log(S1)
    decayed = np.exp(-alpha * log_area)
    partials = {
        "L0": 1.0,
        "A": decayed,
        "alpha": -A * log_area * decayed,
        "C": -annealed,
        "lam": -C * slope,
    }
    return L0 + A * decayed - C * annealed, partials


LAM = Parameter(
    "lam",
    (0.9, 0.9999),
    scale="complement",
    low=1 - 1 / _SHORTEST,
    high=1 - 1 / _LONGEST,
    meaning="decay of the momentum: a memory of 1/(1-lam) steps",
)

LR_ANNEALING = register(
    Law(
        name="lr_annealing",
        formula="L(s) = L0 + A S1^-alpha - C S2, S2 = sum of m_i, m_i = lam m_(i-1) + drop_i",
        source="Tissue et al. 2024, arXiv:2408.11029",
        needs={
            "run": "name of the run",
            "step": "training step, one row for each",
            "lr": "learning rate of the step",
        },
        columns={"S1": "learning-rate area", "felt": "annealing area, as a series in the memory"},
        prepare=areas,
        curve=True,
        parameters=(
            Parameter(
                "L0", low=0, unit="nats/token", meaning="loss after endless training", role="floor"
            ),
            Parameter("A", scale="log", unit="nats/token", meaning="coefficient of the area"),
            Parameter(
                "alpha", (0.1, 1.0), low=0, high=5, meaning="exponent of the area", role="exponent"
            ),
            Parameter("C", scale="log", unit="nats/token", meaning="worth of annealing"),
            LAM,
        ),
        value=_value,
        gradient=_gradient,
        linear=("L0", "A", "C"),
    )
)
