"""One pool of data, seen again and again: each repetition teaches less.

    L = a n^-b + d in the first pass, with an exponent b that halves every tau repetitions.

In the pass after k whole ones the exponent is b 2^(-k / tau), so what counts is a sum over passes
of the logarithm by which the samples seen have grown, each term discounted.
"""

import numpy as np

from scalinglab.analysis.laws.later_passes import FIRST_PASSES, later_passes
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register


def _value(D: Array, U: Array, d: Array, a: Array, b: Array, tau: Array) -> Array:
    return d + a * np.exp(-b * _growth(D, U, np.exp(-np.log(2) / tau)))


def _growth(D: Array, U: Array, discount: Array) -> Array:
    """log D, the part of each pass discounted, shape (batch, n)."""
    passes = np.floor(D / U).astype(int)  # whole ones
    k = np.arange(1, min(passes.max(initial=1), FIRST_PASSES) + 1)
    # Column k - 1 of `cumulative`: what k whole passes add to the first.
    cumulative = np.cumsum(discount ** (k - 1) * np.log(k / np.maximum(k - 1, 1)), axis=1)
    repeated = cumulative[:, np.clip(passes, 1, FIRST_PASSES) - 1]
    repeated = repeated + later_passes(discount, passes)
    current = discount**passes * np.log(D / (np.maximum(passes, 1) * U))
    return np.log(np.minimum(D, U)) + np.where(passes > 0, repeated + current, 0)


QUALITY_QUANTITY = register(
    Law(
        name="quality_quantity",
        formula="L = a n^-b + d, b halving every tau repetitions of the pool",
        source="Goyal et al. 2024, arXiv:2404.07177",
        columns={
            "D": "samples or tokens seen, repetitions included",
            "U": "size of the pool, in the same unit",
        },
        parameters=(
            Parameter("d", low=0, meaning="loss or error at the end", role="floor"),
            Parameter("a", scale="log", meaning="coefficient"),
            Parameter(
                "b",
                (0.05, 0.8),
                low=0,
                high=5,
                meaning="utility: the first exponent",
                role="exponent",
            ),
            Parameter("tau", (0.5, 50), "log", 1e-2, 1e4, "repetitions", "half-life of utility"),
        ),
        value=_value,
        linear=("d", "a"),
    )
)
