"""Loss after a number of steps at a batch size: size and minimum steps, with the critical batch.

    L = (N_c / N)^alpha_N + (S_c / S_min)^alpha_S
    S_min = S / (1 + B_crit / B),  B_crit = B_star / L^(1 / alpha_B)

S steps at batch B are worth S_min steps at a very large batch. The critical batch depends on the
loss that is reached, so the loss stands on both sides and is solved for. In l = log L the equation
is l - log(right-hand side) = 0; the left of it rises, with a slope of at least 1, and is concave,
because a sum of log-convex terms is log-convex: Newton's method from below always arrives. Its
derivatives follow from those of the right-hand side (implicit function theorem).
"""

from __future__ import annotations

from itertools import product

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.laws.nnls import nonnegative_coefficients
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register

_SIZES, _STEPS, _BATCHES, _LOSSES = (0.05, 0.1, 0.2), (0.3, 0.6, 1.0), (0.1, 1.0, 10.0), (0.1, 0.3)
_TRIED = np.array(list(product(_SIZES, _STEPS, _BATCHES, _LOSSES))).T
_NEWTON, _CLOSE = 60, 1e-12  # steps at most; a step so small leaves only rounding behind


def _solve(
    of_N: Array, log_S: Array, ratio: Array, alpha_S: Array, alpha_B: Array
) -> tuple[Array, Array, Array, Array]:
    """log L, the share of the loss that the steps make, that of B_crit in 1 + B_crit / B, and the
    slope of the equation there; `log_S` is log(S_c / S), `ratio` is B_star / B.
    """
    # Without a critical batch the loss is lowest: Newton's method begins below its root.
    log_L = np.log(of_N + np.exp(alpha_S * log_S))
    for _ in range(_NEWTON):
        crit = ratio * np.exp(-log_L / alpha_B)
        of_S = np.exp(alpha_S * (log_S + np.log(1 + crit)))
        share, wanting = of_S / (of_N + of_S), crit / (1 + crit)
        slope = 1 + share * wanting * alpha_S / alpha_B
        step = (np.log(of_N + of_S) - log_L) / slope
        log_L = log_L + step
        if not np.max(np.abs(step)) > _CLOSE:
            break
    return log_L, share, wanting, slope


def _value(
    N: Array,
    steps: Array,
    batch: Array,
    N_c: Array,
    alpha_N: Array,
    S_c: Array,
    alpha_S: Array,
    B_star: Array,
    alpha_B: Array,
) -> Array:
    of_N = np.exp(alpha_N * (np.log(N_c) - np.log(N)))
    log_S = np.log(S_c) - np.log(steps)
    return np.exp(_solve(of_N, log_S, B_star / batch, alpha_S, alpha_B)[0])


def _gradient(
    N: Array,
    steps: Array,
    batch: Array,
    N_c: Array,
    alpha_N: Array,
    S_c: Array,
    alpha_S: Array,
    B_star: Array,
    alpha_B: Array,
) -> tuple[Array, dict[str, Array]]:
    log_N, log_S = np.log(N_c) - np.log(N), np.log(S_c) - np.log(steps)
    log_L, share, wanting, slope = _solve(
        np.exp(alpha_N * log_N), log_S, B_star / batch, alpha_S, alpha_B
    )
    loss = np.exp(log_L)
    by_N, by_S = loss * (1 - share) / slope, loss * share / slope
    by_crit = by_S * alpha_S * wanting
    return loss, {
        "N_c": by_N * alpha_N / N_c,
        "alpha_N": by_N * log_N,
        "S_c": by_S * alpha_S / S_c,
        "alpha_S": by_S * (log_S - np.log(1 - wanting)),
        "B_star": by_crit / B_star,
        "alpha_B": by_crit * log_L / alpha_B**2,
    }


def _guess(columns: Columns, loss: Array) -> dict[str, Array]:
    """Starts whose critical batch is read off the measured losses; the scales are solved for."""
    alpha_N, alpha_S, height, alpha_B = (column[:, None] for column in _TRIED)
    log_L, log_N = np.log(loss), np.log(columns["N"])
    log_B = np.log(columns["batch"])
    crit = np.log(height) + log_B.mean() - (log_L - log_L.mean()) / alpha_B
    log_S = np.log(columns["steps"]) - np.log1p(np.exp(crit - log_B))
    middle_N, middle_S = log_N.mean(), log_S.mean(1, keepdims=True)
    falling = np.exp(-alpha_N * (log_N - middle_N)), np.exp(-alpha_S * (log_S - middle_S))
    heights = nonnegative_coefficients(np.stack(falling, axis=1), loss)
    of_N, of_S = np.log(np.maximum(heights, 1e-3 * loss.mean())).T
    return {
        "N_c": np.exp(np.clip(middle_N + of_N / alpha_N[:, 0], -100, 100)),
        "alpha_N": alpha_N[:, 0],
        "S_c": np.exp(np.clip(middle_S[:, 0] + of_S / alpha_S[:, 0], -100, 100)),
        "alpha_S": alpha_S[:, 0],
        "B_star": np.exp((np.log(height) + log_B.mean() + log_L.mean() / alpha_B)[:, 0]),
        "alpha_B": alpha_B[:, 0],
    }


KAPLAN_STEPS = register(
    Law(
        name="kaplan_steps",
        formula="L = (N_c / N)^alpha_N + (S_c / S_min)^alpha_S, S_min = S / (1 + B_crit / B), "
        "B_crit = B_star / L^(1 / alpha_B)",
        source="Kaplan et al. 2020, arXiv:2001.08361, equations 1.4 to 1.8",
        columns={
            "N": "model size in parameters",
            "steps": "training steps",
            "batch": "batch size in tokens",
        },
        parameters=(
            Parameter("N_c", scale="log", unit="parameters", meaning="scale of the size"),
            Parameter(
                "alpha_N", (0.02, 0.3), low=1e-3, high=5, meaning="size exponent", role="exponent"
            ),
            Parameter("S_c", scale="log", unit="steps", meaning="scale of the steps"),
            Parameter(
                "alpha_S",
                (0.2, 1.2),
                low=1e-3,
                high=5,
                meaning="exponent of the steps",
                role="exponent",
            ),
            Parameter(
                "B_star",
                (1e4, 1e9),
                "log",
                unit="unit of batch",
                meaning="critical batch at a loss of 1",
            ),
            Parameter(
                "alpha_B",
                (0.1, 0.5),
                low=1e-2,
                high=10,
                meaning="exponent of the loss in the critical batch",
                role="exponent",
            ),
        ),
        value=_value,
        gradient=_gradient,
        guess=_guess,
    )
)
