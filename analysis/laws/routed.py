"""Routed language models: the loss from the size of the dense model and the number of experts.

    log L = a log N + b log E_eff + c log N log E_eff + d        (logarithms to base 10)

Fitted to models trained on equally many tokens. A c above 0 says that experts help larger models
less. For E_eff see `scalinglab.analysis.laws.experts`.
"""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.experts import (
    COLUMNS,
    SATURATION,
    TRIED,
    effective_experts,
    experts_in_words,
)
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register


def _value(
    n_active: Array,
    experts: Array,
    a: Array,
    b: Array,
    c: Array,
    d: Array,
    E_start: Array,
    E_max: Array,
) -> Array:
    log_N, log_E = np.log10(n_active), _log10(effective_experts(experts, E_start, E_max))
    return np.exp(np.log(10) * (a * log_N + b * log_E + c * log_N * log_E + d))


def _log10(x: Array) -> Array:
    return np.log(x) / np.log(10)  # numpy's log10 takes no complex step


def _guess(columns: Columns, loss: Array) -> dict[str, Array]:
    """Starts at several saturations; given one, the logarithm of the law is linear."""
    log_N, y = np.log10(columns["n_active"]), np.log10(loss)
    solved = []
    for E_start, E_max in TRIED.T:
        log_E = _log10(effective_experts(columns["experts"], E_start, E_max))
        basis = np.stack([log_N, log_E, log_N * log_E, np.ones_like(log_N)], axis=1)
        solved.append(np.linalg.lstsq(basis, y, rcond=None)[0])
    a, b, c, d = np.array(solved).T
    return {"a": a, "b": b, "c": c, "d": d, "E_start": TRIED[0], "E_max": TRIED[1]}


ROUTED = register(
    Law(
        name="routed",
        formula="log10 L = a log10 n_active + b log10 E_eff + c log10 n_active log10 E_eff + d,"
        f" {experts_in_words()}",
        source="Clark et al. 2022, arXiv:2202.01169, equations 1 and 5",
        columns=COLUMNS,
        parameters=(
            Parameter("a", (-0.2, 0.0), low=-2, high=1, meaning="exponent of the size"),
            Parameter("b", (-0.3, 0.0), low=-3, high=3, meaning="exponent of the experts"),
            Parameter("c", (0.0, 0.05), low=-1, high=1, meaning="how one exponent moves with both"),
            Parameter("d", (0.5, 2.0), low=-20, high=20, meaning="log10 of the loss at N = E = 1"),
            *SATURATION,
        ),
        value=_value,
        guess=_guess,
        # Table 3: models routed by S-BASE.
        reference={
            "a": -0.082,
            "b": -0.108,
            "c": 0.009,
            "d": 1.104,
            "E_start": 1.847,
            "E_max": 314.478,
        },
    )
)
