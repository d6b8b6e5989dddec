"""How many times its own compute a mixture of experts is worth in a dense model.

    log leverage = (a + d log10 C + beta log2 G + gamma (log2 G)^2) log(A + A_start)

The leverage of a mixture trained with C FLOPs is the compute that the dense models need for its
loss, over C. A is the share of experts that are active, G their granularity.

The paper writes a saturating transformation of A whose upper end it finds at 5e16: there it is
A + A_start, which stands here. It does not name the bases of its logarithms; with these its
constants give what it reports, 7.2 at A = 3.1 %, G = 12, C = 1e22 and the best G between 11 and 12.
"""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_TRIED = np.array([0.001, 0.005, 0.02, 0.06, 0.2])


def _value(
    A: Array, G: Array, C: Array, a: Array, d: Array, beta: Array, gamma: Array, A_start: Array
) -> Array:
    log_C, log_G = np.log10(C), np.log2(G)
    exponent = a + d * log_C + beta * log_G + gamma * log_G**2
    return np.exp(exponent * np.log(A + A_start))


def _guess(columns: Columns, leverage: Array) -> dict[str, Array]:
    """Starts at several A_start; given one, the logarithm of the law is linear."""
    log_C, log_G = np.log10(columns["C"]), np.log2(columns["G"])
    solved = []
    for A_start in _TRIED:
        basis = np.stack([np.ones_like(log_C), log_C, log_G, log_G**2], axis=1)
        basis = basis * np.log(columns["A"] + A_start)[:, None]
        solved.append(np.linalg.lstsq(basis, np.log(leverage), rcond=None)[0])
    a, d, beta, gamma = np.array(solved).T
    return {"a": a, "d": d, "beta": beta, "gamma": gamma, "A_start": _TRIED}


EFFICIENCY_LEVERAGE = register(
    Law(
        name="efficiency_leverage",
        formula="log leverage = (a + d log10 C + beta log2 G + gamma (log2 G)^2) log(A + A_start)",
        source="Tian et al. 2025, arXiv:2507.17702, equation 13",
        columns={
            "A": "active experts over all of a layer, shared ones counted in both; 1 if dense",
            "G": "granularity, 2 d_model / d_expert",
            "C": "training compute of the mixture in FLOPs",
        },
        response="leverage",
        parameters=(
            Parameter("a", (-1.0, 2.0), low=-10, high=10, meaning="exponent of A at C = 1, G = 1"),
            Parameter("d", (-0.2, 0.0), low=-2, high=2, meaning="how it moves with log10 C"),
            Parameter("beta", (-0.3, 0.1), low=-5, high=5, meaning="how it moves with log2 G"),
            Parameter("gamma", (-0.05, 0.05), low=-1, high=1, meaning="how that bends"),
            Parameter(
                "A_start", (0.001, 0.2), "log", 1e-5, 1.0, meaning="share below which A saturates"
            ),
        ),
        value=_value,
        guess=_guess,
        # Table 2.
        reference={
            "a": 1.23,
            "d": -7.61e-2,
            "beta": -1.17e-1,
            "gamma": 1.67e-2,
            "A_start": 1.63e-2,
        },
    )
)
