"""Chinchilla's surface with a penalty for repeated tokens: the loss can rise again.

    L = E + A / N^alpha + B / D^beta + P R^delta (N / U)^kappa,    R = D / U - 1

U is the number of unique tokens, R how often they were repeated. More epochs help by B / D^beta and
harm by the last term, and they harm larger models more. At R = 0 it is Chinchilla's law.

The form is that of Lovelace et al. 2026 (arXiv:2605.01640), known here at second hand, from the
account of it in L. Weng, "Scaling Laws, Carefully" (2026). It says nothing of what a penalty comes
to after hundreds of epochs, where a measured loss levels off and this one rises without end.
"""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.data_constrained import DATA_CONSTRAINED
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_NEVER = 1e-30  # repetitions, in place of none: a power of it is as good as zero


def _value(
    N: Array,
    D: Array,
    U: Array,
    E: Array,
    A: Array,
    alpha: Array,
    B: Array,
    beta: Array,
    P: Array,
    delta: Array,
    kappa: Array,
) -> Array:
    repeated = np.log(np.maximum(D / U - 1, _NEVER))
    penalty = P * np.exp(delta * repeated + kappa * np.log(N / U))
    return E + A * np.exp(-alpha * np.log(N)) + B * np.exp(-beta * np.log(D)) + penalty


REPETITION_PENALTY = register(
    Law(
        name="repetition_penalty",
        formula="L = E + A / N^alpha + B / D^beta + P R^delta (N / U)^kappa, R = D / U - 1",
        source="Lovelace et al. 2026, arXiv:2605.01640",
        columns=DATA_CONSTRAINED.columns,
        parameters=(
            *DATA_CONSTRAINED.parameters[:5],  # those of the surface
            Parameter("P", scale="log", unit="nats/token", meaning="penalty at R = 1, N = U"),
            Parameter("delta", (0.2, 1.5), low=0.05, high=5, meaning="exponent of the repetitions"),
            Parameter("kappa", (0.1, 1.5), low=0.0, high=5, meaning="exponent of N / U"),
        ),
        value=_value,
        linear=("E", "A", "B", "P"),
    )
)
