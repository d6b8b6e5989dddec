"""What a larger batch buys: the steps to a loss, and how the critical batch grows as loss falls.

At one loss, (S / S_min - 1)(T / T_min - 1) = 1 for S steps that see T = S batch tokens. Solved for
the steps, with B_crit = T_min / S_min, this is S = S_min (1 + B_crit / batch).
"""

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_EXPONENTS = np.array([0.05, 0.1, 0.2, 0.4, 0.8])


def _steps(batch: Array, S_min: Array, B_crit: Array) -> Array:
    return S_min * (1 + B_crit / batch)


def critical_batch_at(loss: Array, B_star: Array, alpha_B: Array) -> Array:
    """B_crit = B_star / L^(1 / alpha_B)."""
    return np.exp(np.log(B_star) - np.log(loss) / alpha_B)


def _guess_critical(columns: Columns, batch: Array) -> dict[str, Array]:
    middle = np.log(columns["loss"]).mean() / _EXPONENTS
    return {"B_star": np.exp(np.log(batch).mean() + middle), "alpha_B": _EXPONENTS}


CRITICAL_BATCH = register(
    Law(
        name="critical_batch",
        formula="S = S_min (1 + B_crit / batch), S steps to one loss",
        source="McCandlish et al. 2018, arXiv:1812.06162",
        columns={"batch": "batch size, in the unit in which B_crit is wanted"},
        response="steps",
        parameters=(
            Parameter("S_min", scale="log", unit="steps", meaning="steps at any batch at least"),
            Parameter(
                "B_crit", (1e2, 1e8), "log", unit="unit of batch", meaning="where returns diminish"
            ),
        ),
        value=_steps,
        linear=("S_min",),
    )
)

CRITICAL_BATCH_AT_LOSS = register(
    Law(
        name="critical_batch_at_loss",
        formula="B_crit = B_star / L^(1 / alpha_B)",
        source="Kaplan et al. 2020, arXiv:2001.08361, equation 1.4",
        columns={"loss": "loss at which the critical batch was measured"},
        response="critical_batch",
        parameters=(
            Parameter("B_star", scale="log", unit="unit of batch", meaning="at a loss of 1"),
            Parameter(
                "alpha_B",
                (0.05, 0.8),
                low=1e-2,
                high=10,
                meaning="exponent of the loss",
                role="exponent",
            ),
        ),
        value=critical_batch_at,
        guess=_guess_critical,
    )
)
