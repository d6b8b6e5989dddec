"""Two budgets of data: that of pre-training and that of fine-tuning.

The formula is known here at second hand, as that of arXiv:2303.01566: the paper itself was not at
hand. It is Chinchilla's sum with the two budgets in place of size and data.
"""

from __future__ import annotations

from scalinglab.analysis.laws.chinchilla import CHINCHILLA, chinchilla_gradient
from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.parameter import Parameter
from scalinglab.analysis.laws.registry import register


def _value(m: Array, n: Array, E: Array, a: Array, alpha: Array, b: Array, beta: Array) -> Array:
    return CHINCHILLA.value(N=m, D=n, E=E, A=a, alpha=alpha, B=b, beta=beta)


def _gradient(
    m: Array, n: Array, E: Array, a: Array, alpha: Array, b: Array, beta: Array
) -> tuple[Array, dict[str, Array]]:
    value, partials = chinchilla_gradient(N=m, D=n, E=E, A=a, alpha=alpha, B=b, beta=beta)
    return value, {**partials, "a": partials["A"], "b": partials["B"]}


TWO_BUDGET = register(
    Law(
        name="two_budget",
        formula="L = E + a m^-alpha + b n^-beta",
        source="arXiv:2303.01566 (at second hand)",
        columns={
            "m": "pre-training data, tokens or samples",
            "n": "fine-tuning data, tokens or samples",
        },
        parameters=(
            Parameter(
                "E", low=0, unit="unit of the loss", meaning="irreducible loss", role="floor"
            ),
            Parameter("a", scale="log", meaning="coefficient of pre-training"),
            Parameter(
                "alpha",
                (0.1, 1.2),
                low=0,
                high=5,
                meaning="exponent of pre-training",
                role="exponent",
            ),
            Parameter("b", scale="log", meaning="coefficient of fine-tuning"),
            Parameter(
                "beta",
                (0.1, 1.2),
                low=0,
                high=5,
                meaning="exponent of fine-tuning",
                role="exponent",
            ),
        ),
        value=_value,
        gradient=_gradient,
        linear=("E", "a", "b"),
    )
)
