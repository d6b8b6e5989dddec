"""Surfaces in which size and data share one outer exponent: Kaplan's, and one that holds both.

`skaling` is written so that A, alpha, B and beta keep their Chinchilla meaning at any outer
exponent: with endless data the loss is E + A / N^alpha, with an endless model E + B / D^beta. At
g = 1 it is Chinchilla's surface; with E = 0 and g = beta it is Kaplan's.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.chinchilla import CHINCHILLA
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_KAPLAN = "Kaplan et al. 2020, arXiv:2001.08361"
_N_AND_D = {"N": "model size in parameters", "D": "training tokens seen"}

_KAPLAN_STARTS = np.array(list(product((0.03, 0.06, 0.12, 0.25, 0.5), repeat=2))).T
_SKALING_STARTS = np.array(
    list(product((0.3, 0.7, 0.95), (0.4, 1.0, 2.0), (0.2, 0.35, 0.6), (0.2, 0.35, 0.6)))
).T


def _kaplan(N: Array, D: Array, N_c: Array, alpha_N: Array, D_c: Array, alpha_D: Array) -> Array:
    of_N = np.exp(alpha_N / alpha_D * (np.log(N_c) - np.log(N)))
    return np.exp(alpha_D * np.log(of_N + D_c / D))


def _skaling(
    N: Array, D: Array, E: Array, A: Array, alpha: Array, B: Array, beta: Array, g: Array
) -> Array:
    of_N = np.exp((np.log(A) - alpha * np.log(N)) / g)
    of_D = np.exp((np.log(B) - beta * np.log(D)) / g)
    return E + np.exp(g * np.log(of_N + of_D))


def _logs(columns: Columns, inner: Array, by_N: Array, by_D: Array) -> Array:
    """log a and log b, shape (2, batch), that bring a / N^by_N + b / D^by_D nearest to `inner`."""
    log_N, log_D = np.log(columns["N"]), np.log(columns["D"])
    scale = log_N.mean(), log_D.mean()
    terms = np.exp(-by_N[:, None] * (log_N - scale[0])), np.exp(-by_D[:, None] * (log_D - scale[1]))
    basis = np.stack(terms, axis=1) / inner[:, None]
    a, b = np.log(np.maximum(nonnegative_coefficients(basis, np.ones(len(log_N))), 1e-6)).T
    return np.stack([a + by_N * scale[0], b + by_D * scale[1]])


def _guess_kaplan(columns: Columns, loss: Array) -> dict[str, Array]:
    alpha_N, alpha_D = _KAPLAN_STARTS
    ratio = alpha_N / alpha_D
    a, b = _logs(columns, np.exp(np.log(loss) / alpha_D[:, None]), ratio, np.ones(len(ratio)))
    logs = {"N_c": np.clip(a / ratio, -100, 100), "D_c": np.clip(b, -100, 100)}
    return {**{k: np.exp(v) for k, v in logs.items()}, "alpha_N": alpha_N, "alpha_D": alpha_D}


def _guess_skaling(columns: Columns, loss: Array) -> dict[str, Array]:
    share, g, alpha, beta = _SKALING_STARTS
    E = share * loss.min()
    inner = np.exp(np.log(loss - E[:, None]) / g[:, None])
    a, b = np.clip(g * _logs(columns, inner, alpha / g, beta / g), -100, 100)
    return {"E": E, "A": np.exp(a), "alpha": alpha, "B": np.exp(b), "beta": beta, "g": g}


KAPLAN_ND = register(
    Law(
        name="kaplan_nd",
        formula="L = [(N_c / N)^(alpha_N / alpha_D) + D_c / D]^alpha_D",
        source=f"{_KAPLAN}, equation 1.5",
        columns=_N_AND_D,
        parameters=(
            Parameter("N_c", scale="log", unit="parameters", meaning="scale of the size"),
            Parameter(
                "alpha_N", (0.02, 0.5), low=1e-3, high=5, meaning="size exponent", role="exponent"
            ),
            Parameter("D_c", scale="log", unit="tokens", meaning="scale of the data"),
            Parameter(
                "alpha_D", (0.02, 0.5), low=1e-3, high=5, meaning="data exponent", role="exponent"
            ),
        ),
        value=_kaplan,
        guess=_guess_kaplan,
    )
)

SKALING = register(
    Law(
        name="skaling",
        formula="L = E + [(A / N^alpha)^(1/g) + (B / D^beta)^(1/g)]^g",
        source=f"{_KAPLAN}, joined with Hoffmann et al. 2022, arXiv:2203.15556",
        columns=_N_AND_D,
        parameters=(
            *CHINCHILLA.parameters,
            Parameter(
                "g", (0.2, 2.0), low=0.02, high=10, meaning="outer exponent", role="exponent"
            ),
        ),
        value=_skaling,
        guess=_guess_skaling,
    )
)
