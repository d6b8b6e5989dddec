"""The Chinchilla surface: loss as a function of parameters N and tokens D."""

import numpy as np

from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register


def _value(N: Array, D: Array, E: Array, A: Array, alpha: Array, B: Array, beta: Array) -> Array:
    return E + A * np.exp(-alpha * np.log(N)) + B * np.exp(-beta * np.log(D))


def chinchilla_gradient(
    N: Array, D: Array, E: Array, A: Array, alpha: Array, B: Array, beta: Array
) -> tuple[Array, dict[str, Array]]:
    """Value, shape of the broadcast arguments, and its derivative by each parameter.

    Laws of this form under other names use it, too.
    """
    log_N, log_D = np.log(N), np.log(D)
    by_N, by_D = np.exp(-alpha * log_N), np.exp(-beta * log_D)
    of_N, of_D = A * by_N, B * by_D
    partials = {"E": 1.0, "A": by_N, "alpha": -log_N * of_N, "B": by_D, "beta": -log_D * of_D}
    return E + of_N + of_D, partials


def _best_size(budget: Array, E: Array, A: Array, alpha: Array, B: Array, beta: Array) -> Array:
    """N* = G (C/6)^(beta/(alpha+beta)), G = (alpha A / (beta B))^(1/(alpha+beta)): section 3.3."""
    both = alpha + beta
    log_G = np.log(alpha * A / (beta * B)) / both
    return np.exp(log_G + beta / both * np.log(budget / 6))


CHINCHILLA = register(
    Law(
        name="chinchilla",
        formula="L = E + A / N^alpha + B / D^beta",
        source="Hoffmann et al. 2022, arXiv:2203.15556; Besiroglu et al. 2024, arXiv:2404.10102",
        columns={"N": "model size in parameters", "D": "training tokens seen"},
        parameters=(
            Parameter("E", low=0, unit="nats/token", meaning="irreducible loss", role="floor"),
            Parameter("A", scale="log", unit="nats/token", meaning="size coefficient"),
            Parameter("alpha", (0.1, 1.2), low=0, high=5, meaning="size exponent", role="exponent"),
            Parameter("B", scale="log", unit="nats/token", meaning="data coefficient"),
            Parameter("beta", (0.1, 1.2), low=0, high=5, meaning="data exponent", role="exponent"),
        ),
        value=_value,
        gradient=chinchilla_gradient,
        # Given the exponents these are linear: starts are drawn in two dimensions, not in five.
        linear=("E", "A", "B"),
        best_size=_best_size,
        # Besiroglu et al. 2024; the constants that Hoffmann et al. print miss their own minimum.
        reference={
            "E": 1.8172,
            "A": 482.01,
            "alpha": 0.3478,
            "B": 2085.43,
            "beta": 0.3658,
        },
        rival="skaling",
    )
)
