"""Several pools of data of different quality, read together and again and again.

    L = d + a exp(-sum over pools of w_j b_j G_j)

w_j is the share of pool j in what is read, b_j its utility: the exponent of the loss in a pass over
it alone that is the first. G_j is log n in the first pass; what later passes add to it halves every
tau / w_j of them. So at pass k the exponent is the mean of the decayed utilities, and the half-life
grows with the number of pools, as in "Data Filtering cannot be Compute Agnostic" (arXiv 2404.07177,
theorem 1, for pools of one size, where 1 / w_j is their number). For one pool it is the law
`quality_quantity`. It is a law of one size of model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalinglab.analysis.laws.later_passes import FIRST_PASSES, later_passes
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

PART, UTILITY = "part.", "utility."  # and the name of a pool: a column, a parameter


def quality_pools_law(pools: Sequence[str]) -> Law:
    """The law for some pools, with the columns ``part.<pool>``, D and U.

    Parameters
    ----------
    pools : sequence of str

    Raises
    ------
    UserError
        If there is none.
    """
    if not pools:
        raise UserError("a law of pools needs one pool or more")
    named = {f"{PART}{pool}": f"share of {pool} in what is read" for pool in pools}
    needs = {
        "D": "tokens seen, repetitions included",
        "U": "tokens of all that is read, once",
        **named,
    }

    def value(
        D: Array, U: Array, parts: Array, d: Array, a: Array, tau: Array, **utilities: Array
    ) -> Array:
        exponent = 0
        for part, pool in zip(parts, pools, strict=True):
            discount = np.exp(-np.log(2) * part / tau)
            exponent = exponent + part * utilities[f"{UTILITY}{pool}"] * _growth(D, U, discount)
        return d + a * np.exp(-exponent)

    def prepare(frame: pd.DataFrame, wanted: Array) -> Columns:
        parts = frame[[*named]].to_numpy(float)[wanted].T
        return {name: frame[name].to_numpy(float)[wanted] for name in ("D", "U")} | {"parts": parts}

    return Law(
        name="quality_pools",
        formula="L = d + a exp(-sum of part x utility x discounted log n)",
        source="Goyal et al. 2024, arXiv:2404.07177",
        columns={"D": needs["D"], "U": needs["U"], "parts": "share of each pool in what is read"},
        parameters=(
            Parameter("d", low=0, unit="nats/token", meaning="loss at the end", role="floor"),
            Parameter("a", scale="log", meaning="coefficient"),
            Parameter("tau", (0.5, 50), "log", 1e-2, 1e4, "repetitions", "half-life of utility"),
            *(
                Parameter(
                    f"{UTILITY}{pool}", (0.05, 0.8), low=0, high=5, meaning=f"utility of {pool}"
                )
                for pool in pools
            ),
        ),
        value=value,
        linear=("d", "a"),
        prepare=prepare,
        needs=needs,
    )


def _growth(D: Array, U: Array, discount: Array) -> Array:
    """log D, the part of each pass after the first discounted, shape (batch, n)."""
    passes = np.floor(D / U)  # whole ones
    k = np.arange(2, max(2, int(min(passes.max(initial=1), FIRST_PASSES)) + 1))
    added = discount[..., None] ** (k - 1) * np.log(k / (k - 1))
    past_epochs = np.where(k <= passes[..., None], added, 0).sum(-1)
    past_epochs = past_epochs + later_passes(discount, passes)
    current = discount**passes * np.log(D / (np.maximum(passes, 1) * U))
    return np.log(np.minimum(D, U)) + np.where(passes > 0, past_epochs + current, 0)
