"""Layers that are run several times: what a repetition is worth in parameters of one's own.

    L = E + A / (N - N_loop + loops^phi N_loop)^alpha + B / D^beta

N counts every parameter once, N_loop those of the layers that are run `loops` times. At phi = 1 a
repetition is worth as much as layers of its own, at phi = 0 nothing. It is Chinchilla's law where
nothing is repeated, and where phi = 0.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scalinglab.analysis.laws.chinchilla import CHINCHILLA
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register


def _value(
    N: Array,
    N_loop: Array,
    loops: Array,
    D: Array,
    E: Array,
    A: Array,
    alpha: Array,
    B: Array,
    beta: Array,
    phi: Array,
) -> Array:
    more = np.exp(phi * np.log(loops)) - 1
    return CHINCHILLA.value(N=N + more * N_loop, D=D, E=E, A=A, alpha=alpha, B=B, beta=beta)


LOOPED: Law = register(
    replace(
        CHINCHILLA,
        name="looped",
        formula="L = E + A / (N - N_loop + loops^phi N_loop)^alpha + B / D^beta",
        source="Schwethelm et al. 2026, arXiv:2604.21106, equation 3",
        columns={
            "N": "parameters, each counted once",
            "N_loop": "those of the layers that are repeated; without a repetition any of them",
            "loops": "how often these layers are run, 1 for a model that repeats none",
            "D": "training tokens seen",
        },
        parameters=(
            *CHINCHILLA.parameters,
            Parameter("phi", (0.0, 1.0), low=-2, high=4, meaning="worth of a repetition"),
        ),
        value=_value,
        gradient=None,
        best_size=None,
        reference={},  # the paper leaves A and B out: its design does not tell them
        rival="",
    )
)
