"""Loss on one validation set against the shares of the pools that a run is trained on.

    L = E + (A / N^alpha + B / D^beta) / (sum of w_j s_j)^gamma

s_j is the share of pool j among the training tokens, and w_j what a token of it is worth for this
validation set: how many tokens of one pool replace those of another is the ratio of their worths.
Worths are relative to the first pool, whose own is 1. A pool that is worth nothing leaves the
others to be repeated: caps on epochs belong to the choice of shares, not to the law.

Near one mixture and at one N and D the law is the exponential of the shares of "Data Mixing Laws"
(arXiv 2403.16952); the sum in place of the exponent lets one law hold over sizes and token counts,
and away from the mixtures that were trained (benchmarks/mixtures.py compares both).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

SHARE, WORTH = "share.", "worth."  # and the name of a pool: a column, a parameter
_FEWEST = 2


def mixing_law(pools: Sequence[str], sizes: bool = True) -> Law:
    """The law for some pools, with the columns ``share.<pool>``.

    Parameters
    ----------
    pools : sequence of str
        The first one is that to which the worths of the others are relative.
    sizes : bool
        Whether N and D vary; else the law is of runs of one size and one number of tokens,
        E + A / (sum of w_j s_j)^gamma.

    Raises
    ------
    UserError
        If there are fewer than two.
    """
    if len(pools) < _FEWEST:
        raise UserError(f"a mixing law needs two pools or more; there are: {', '.join(pools)}")
    other_pools = pools[1:]
    axes = {"N": "model size in parameters", "D": "training tokens seen"} if sizes else {}
    named = {f"{SHARE}{pool}": f"share of {pool} among the training tokens" for pool in pools}

    def gradient(shares: Array, **values: Array) -> tuple[Array, dict[str, Array]]:
        worth = shares[0] + sum(values[f"{WORTH}{p}"] * s for p, s in rest(shares))
        log_worth, gamma = np.log(worth), values["gamma"]
        power = np.exp(-gamma * log_worth)
        partials = {"E": np.ones_like(power)}
        if sizes:
            log_N, log_D = np.log(values["N"]), np.log(values["D"])
            partials["A"] = np.exp(-values["alpha"] * log_N) * power
            partials["B"] = np.exp(-values["beta"] * log_D) * power
            partials["alpha"] = -log_N * values["A"] * partials["A"]
            partials["beta"] = -log_D * values["B"] * partials["B"]
            reducible = values["A"] * partials["A"] + values["B"] * partials["B"]
        else:
            partials["A"] = power
            reducible = values["A"] * power
        partials["gamma"] = -log_worth * reducible
        slope = -gamma * reducible / worth
        partials |= {f"{WORTH}{pool}": slope * share for pool, share in rest(shares)}
        return values["E"] + reducible, partials

    def rest(shares: Array) -> list[tuple[str, Array]]:
        return list(zip(other_pools, shares[1:], strict=True))

    def prepare(frame: pd.DataFrame, wanted: Array) -> Columns:
        sizes_of_rows = {name: frame[name].to_numpy(float)[wanted] for name in axes}
        return sizes_of_rows | {"shares": frame[[*named]].to_numpy(float)[wanted].T}

    return Law(
        name="mixing",
        formula="L = E + (A / N^alpha + B / D^beta) / (sum of worth x share)^gamma"
        if sizes
        else "L = E + A / (sum of worth x share)^gamma",
        source="this project; at one N and D beside Ye et al. 2024, arXiv:2403.16952",
        columns={**axes, "shares": "share of each pool among the training tokens"},
        parameters=_parameters(pools, sizes),
        value=lambda shares, **values: gradient(shares, **values)[0],
        gradient=gradient,
        linear=("E", "A", "B") if sizes else ("E", "A"),
        prepare=prepare,
        needs={**axes, **named},
    )


def _parameters(pools: Sequence[str], sizes: bool) -> tuple[Parameter, ...]:
    """Parameters of the law: those of N and D where they vary, and the worth of each other pool."""
    first, *other_pools = pools
    surface = (
        Parameter("alpha", (0.15, 0.8), low=0.02, high=3, meaning="exponent of N", role="exponent"),
        Parameter("B", scale="log", meaning="coefficient of D"),
        Parameter("beta", (0.15, 0.8), low=0.02, high=3, meaning="exponent of D", role="exponent"),
    )
    return (
        Parameter("E", low=0, unit="nats/token", meaning="irreducible loss", role="floor"),
        Parameter("A", scale="log", meaning="coefficient of N" if sizes else "coefficient"),
        *(surface if sizes else ()),
        Parameter("gamma", (0.05, 0.6), low=0.005, high=3, meaning="exponent of the worth"),
        *(
            Parameter(
                f"{WORTH}{pool}", (0.1, 10), "log", 1e-3, 1e3, "", f"a token of {pool} in {first}'s"
            )
            for pool in other_pools
        ),
    )
