"""From the loss on one corpus or task to the loss on another, of the same models.

What of the loss on `a` is above its irreducible part follows a power law of what is on `b`. The
irreducible losses are best held at those of each surface, ``fixed={"E_a": 1.8, "E_b": 2.1}``: left
free, E_a is drawn to the lowest loss measured. At E_a or below it the law gives E_b.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_TRIED = np.array(list(product((0.0, 0.3, 0.6, 0.8, 0.95), (0.4, 0.7, 1.0, 1.5, 2.5)))).T

_NOTHING = 1e-100


def _value(loss_a: Array, K: Array, E_a: Array, kappa: Array, E_b: Array) -> Array:
    above = loss_a - E_a
    return K * np.exp(kappa * np.log(np.where(above.real > 0, above, _NOTHING))) + E_b


def _guess(columns: Columns, loss: Array) -> dict[str, Array]:
    share, kappa = _TRIED
    E_a = share * columns["loss_a"].min()
    rising = np.exp(kappa[:, None] * np.log(columns["loss_a"] - E_a[:, None]))
    basis = np.stack([rising, np.ones_like(rising)], axis=1)
    K, E_b = nonnegative_coefficients(basis, loss).T
    return {"K": np.maximum(K, 1e-3), "E_a": E_a, "kappa": kappa, "E_b": E_b}


LOSS_TO_LOSS = register(
    Law(
        name="loss_to_loss",
        formula="L_b = K (L_a - E_a)^kappa + E_b",
        source="Brandfonbrener et al. 2024, arXiv:2411.12925",
        columns={"loss_a": "loss that is known, nats/token"},
        parameters=(
            Parameter("K", scale="log", meaning="coefficient"),
            Parameter("E_a", (0.0, 3.0), low=0, unit="nats/token", meaning="irreducible loss on a"),
            Parameter("kappa", (0.4, 2.5), low=0, high=10, meaning="exponent", role="exponent"),
            Parameter("E_b", low=0, unit="nats/token", meaning="irreducible loss on b"),
        ),
        value=_value,
        guess=_guess,
    )
)
