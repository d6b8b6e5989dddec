"""The size of the vocabulary: its own term in the loss, beside those of the model and the data.

    L_u = -E + A1 / N^alpha1 + A2 / N_vocab^alpha2 + B / D^beta

L_u is the loss less that of a unigram model with the same vocabulary, in nats per token: it is
comparable across vocabularies, and it is negative where the model has learnt anything.
"""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register


def _value(
    N: Array,
    N_vocab: Array,
    D: Array,
    E: Array,
    A1: Array,
    alpha1: Array,
    A2: Array,
    alpha2: Array,
    B: Array,
    beta: Array,
) -> Array:
    of_N = A1 * np.exp(-alpha1 * np.log(N))
    of_vocab = A2 * np.exp(-alpha2 * np.log(N_vocab))
    return of_N + of_vocab + B * np.exp(-beta * np.log(D)) - E


VOCABULARY = register(
    Law(
        name="vocabulary",
        formula="L_u = -E + A1 / N^alpha1 + A2 / N_vocab^alpha2 + B / D^beta",
        source="Tao et al. 2024, arXiv:2407.13623, and its authors' approach3_isoloss.py",
        columns={
            "N": "parameters outside the vocabulary",
            "N_vocab": "vocabulary times width",
            "D": "training tokens seen",
        },
        response="unigram_loss",
        errors="absolute",
        span=(-np.inf, np.inf),
        parameters=(
            Parameter("E", low=-100, high=100, unit="nats/token", meaning="lowest L_u, negative"),
            Parameter("A1", scale="log", unit="nats/token", meaning="size coefficient"),
            Parameter("alpha1", (0.1, 1.0), low=0, high=5, meaning="size exponent"),
            Parameter("A2", scale="log", unit="nats/token", meaning="vocabulary coefficient"),
            Parameter("alpha2", (0.1, 1.0), low=0, high=5, meaning="vocabulary exponent"),
            Parameter("B", scale="log", unit="nats/token", meaning="data coefficient"),
            Parameter("beta", (0.1, 1.0), low=0, high=5, meaning="data exponent"),
        ),
        value=_value,
        linear=("E", "A1", "A2", "B"),
    )
)
