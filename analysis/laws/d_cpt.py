"""Continued training on a mixture of a domain and of what the model was trained on before.

    L = E + A / N^alpha + B r^eta / D^beta + C / (r + epsilon)^gamma

D are the tokens of the continued training, r the share of them that comes from the corpus on whose
validation set L is measured: the domain's share for the loss on the domain, the rest for the loss
on the general corpus, each with parameters of its own. At any one r it is Chinchilla's surface. A
larger share of a corpus lowers the last term and raises the third: tokens of a small share repeat
less of what the model knows.

The form is that of Que et al. 2024 (arXiv:2406.01375), as the survey of Sengupta et al.
(arXiv:2502.12051, equation 7) and the paper's summaries quote it. The paper's ranges of parameters
are not known here; those below are wide. The law holds for weights that all runs begin with.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.chinchilla import CHINCHILLA
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register
from scalinglab.scaling.errors import UserError

_NO_SHARE = 1e-30  # in place of 0: a power of it is as good as zero
_COLUMNS = {
    "N": "model size in parameters",
    "D": "tokens of the continued training",
    "r": "share of these tokens from the corpus of the loss, 0 to 1",
}
_RANGES = {"N": (0.0, np.inf), "D": (0.0, np.inf), "r": (-np.finfo(float).tiny, 1.0)}


def _value(
    N: Array,
    D: Array,
    r: Array,
    E: Array,
    A: Array,
    alpha: Array,
    B: Array,
    beta: Array,
    eta: Array,
    C: Array,
    gamma: Array,
    epsilon: Array,
) -> Array:
    of_size = A * np.exp(-alpha * np.log(N))
    of_tokens = B * np.exp(eta * np.log(np.maximum(r, _NO_SHARE)) - beta * np.log(D))
    return E + of_size + of_tokens + C * np.exp(-gamma * np.log(r + epsilon))


def _read(frame: pd.DataFrame, wanted: Array) -> Columns:
    """The columns; unlike sizes and tokens a share may be 0."""
    columns = {}
    for name, (low, high) in _RANGES.items():
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)[wanted]
        wrong = ~((values > low) & (values <= high))
        if wrong.any():
            allowed = "shares from 0 to 1" if name == "r" else "positive numbers"
            raise UserError(
                f"column {name!r} must hold {allowed} for law 'd_cpt'; {int(wrong.sum())} of "
                f"{len(values)} rows do not, the first has {values[wrong][0]:g}"
            )
        columns[name] = values
    return columns


D_CPT = register(
    Law(
        name="d_cpt",
        formula="L = E + A / N^alpha + B r^eta / D^beta + C / (r + epsilon)^gamma",
        source="Que et al. 2024, arXiv:2406.01375, as quoted in arXiv:2502.12051, equation 7",
        columns=_COLUMNS,
        needs=_COLUMNS,
        prepare=_read,
        parameters=(
            *CHINCHILLA.parameters,
            Parameter("eta", (0.05, 1.0), low=0, high=5, meaning="exponent of the share"),
            Parameter("C", scale="log", unit="nats/token", meaning="what a small share costs"),
            Parameter("gamma", (0.1, 1.5), low=0.01, high=5, meaning="exponent of that cost"),
            Parameter("epsilon", (0.01, 0.5), "log", 1e-4, 10, meaning="share at which it bends"),
        ),
        value=_value,
        linear=("E", "A", "B", "C"),
    )
)
