"""Loss curves of several model sizes under any learning-rate schedules, as one law.

    L(s, N) = L0 + A S1^-alpha + B N^-beta - C N^-gamma S2

The momentum law (`lr_annealing`) with the size term of the surfaces and annealing that is worth
more or less as the model grows: the extension to N that Tissue et al. propose. Training tokens need
no term of their own: they enter through the areas, which grow with every step. At one size it is
the momentum law with L0 + B N^-beta for L0 and C N^-gamma for C.

Sizes are counted from `REFERENCE`, so that B and C are terms of the loss at that size and hardly
depend on the exponents.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.laws import lr_annealing
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register
from scalinglab.scaling.errors import UserError

REFERENCE = 1e8  # parameters
ENDLESS = Parameter(
    "L0",
    low=0,
    unit="nats/token",
    meaning="loss of an endless model, endlessly trained",
    role="floor",
)


def areas_and_size(frame: pd.DataFrame, wanted: Array | None = None) -> Columns:
    """`lr_annealing.areas` and N, shape (n,), of the wanted rows of whole runs.

    Raises
    ------
    UserError
        If N is not a positive number.
    """
    return {"N": sizes(frame, wanted), **lr_annealing.areas(frame, wanted)}


def sizes(frame: pd.DataFrame, wanted: Array | None) -> Array:
    """N of the wanted rows, shape (n,); raises as `areas_and_size`."""
    N = pd.to_numeric(frame["N"], errors="coerce").to_numpy(float)
    if not (np.isfinite(N) & (N > 0)).all():
        raise UserError("column 'N' must hold positive numbers at every step")
    return N if wanted is None else N[wanted]


def _value(
    N: Array,
    S1: Array,
    felt: Array,
    L0: Array,
    A: Array,
    alpha: Array,
    B: Array,
    beta: Array,
    C: Array,
    gamma: Array,
    lam: Array,
) -> Array:
    size = np.log(N / REFERENCE)
    trained = L0 + A * np.exp(-alpha * np.log(S1)) + B * np.exp(-beta * size)
    return trained - C * np.exp(-gamma * size) * lr_annealing.annealing(felt, lam)[0]


def _gradient(
    N: Array,
    S1: Array,
    felt: Array,
    L0: Array,
    A: Array,
    alpha: Array,
    B: Array,
    beta: Array,
    C: Array,
    gamma: Array,
    lam: Array,
) -> tuple[Array, dict[str, Array]]:
    size, log_area = np.log(N / REFERENCE), np.log(S1)
    decayed, smaller = np.exp(-alpha * log_area), np.exp(-beta * size)
    relative = np.exp(-gamma * size)
    annealed, slope = lr_annealing.annealing(felt, lam)
    partials = {
        "L0": 1.0,
        "A": decayed,
        "alpha": -A * log_area * decayed,
        "B": smaller,
        "beta": -B * size * smaller,
        "C": -relative * annealed,
        "gamma": C * size * relative * annealed,
        "lam": -C * relative * slope,
    }
    return L0 + A * decayed + B * smaller - C * relative * annealed, partials


JOINT_ANNEALING = register(
    Law(
        name="joint_annealing",
        formula="L = L0 + A S1^-alpha + B (N/1e8)^-beta - C (N/1e8)^-gamma S2",
        source="Tissue et al. 2024, arXiv:2408.11029 (its extension to N)",
        needs={"N": "parameters"} | dict(lr_annealing.LR_ANNEALING.needs),
        columns={"N": "parameters"} | dict(lr_annealing.LR_ANNEALING.columns),
        prepare=areas_and_size,
        curve=True,
        parameters=(
            ENDLESS,
            Parameter("A", scale="log", unit="nats/token", meaning="coefficient of the area"),
            Parameter(
                "alpha", (0.1, 1.0), low=0, high=5, meaning="exponent of the area", role="exponent"
            ),
            Parameter("B", scale="log", unit="nats/token", meaning="size term at 1e8 parameters"),
            Parameter(
                "beta", (0.1, 1.0), low=0, high=5, meaning="exponent of the size", role="exponent"
            ),
            Parameter(
                "C", scale="log", unit="nats/token", meaning="worth of annealing at 1e8 parameters"
            ),
            Parameter(
                "gamma",
                (-0.5, 0.5),
                low=-3,
                high=3,
                meaning="how the worth of annealing falls with the size",
            ),
            lr_annealing.LAM,
        ),
        value=_value,
        gradient=_gradient,
        linear=("L0", "A", "B", "C"),
    )
)
