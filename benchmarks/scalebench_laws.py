"""The ten forms that ScaleBench fits to each of its tasks (arXiv:2604.22753), with its bounds.

Most were found by symbolic search and have no interpretation: they only make our fits comparable
with the published means over the ten.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scalinglab.analysis.laws.law import Array, Law
from scalinglab.analysis.laws.parameter import Parameter

Bounds = tuple[float, float]
_WIDE, _ANY, _UP = (-1e4, 1e4), (-5.0, 5.0), (0.0, 2.0)


def _form(columns: str, value: Callable[..., Array], *bounds: Bounds, linear: str = "") -> Law:
    """A law of some columns; its parameters are the other arguments of `value`, in order."""
    reads = columns.split()
    code = value.__code__
    names = code.co_varnames[len(reads) : code.co_argcount]
    parameters = [
        Parameter(name, start=pair, low=pair[0], high=pair[1])
        for name, pair in zip(names, bounds, strict=True)
    ]
    return Law(
        name=f"form of line {code.co_firstlineno}",
        formula="",
        source="arXiv:2604.22753",
        parameters=tuple(parameters),
        columns=dict.fromkeys(reads, "of ScaleBench"),
        value=value,
        linear=tuple(linear.split()),
        errors="absolute",
        span=(-np.inf, np.inf),
    )


def _power(x: Array, exponent: Array) -> Array:
    return np.exp(exponent * np.log(x))


def _mean(x: Array, y: Array, r: Array) -> Array:
    """(exp(r x) + exp(r y))^(1 / r), of logarithms."""
    top = np.maximum(np.real(x), np.real(y))
    return np.exp(top + np.log(np.exp(r * (x - top)) + np.exp(r * (y - top))) / r)


def _larger(x: Array, y: Array) -> Array:
    return np.where(np.real(x) >= np.real(y), x, y)


_MOE = "n_active experts"
_FLOOR = (0.0, 3.0)
MOE = [
    _form(
        _MOE,
        lambda n_active, experts, L, B, alpha, beta: (
            L + B * _power(n_active, -alpha) * _power(experts, -beta)
        ),
        *(_FLOOR, (0.1, 500), (0, 1.5), (-0.5, 1.5)),
        linear="L B",
    ),
    _form(
        _MOE,
        lambda n_active, experts, L, K, alpha, beta, gamma: (
            L + K * np.exp(-gamma * (alpha * np.log(n_active) + beta * np.log(experts)))
        ),
        *(_FLOOR, (0, 500), _UP, _UP, _UP),
        linear="L K",
    ),
    _form(
        _MOE,
        lambda n_active, experts, A, alpha, B, beta, C, D: (
            A * _power(n_active, alpha) / (1 + B * _power(experts, beta))
            + C * _power(n_active, 0.6 * alpha)
            + D
        ),
        *((0, 5e3), (-1.5, 0), (0, 20), _UP, _WIDE, _ANY),
        linear="A C D",
    ),
    _form(
        _MOE,
        lambda n_active, experts, a, alpha, b, gamma, c, d: (
            a * _power(n_active, -alpha) * _power(1 + b * experts, -gamma)
            + c
            + d * (np.log(n_active) - 0.4 * np.log(1 + experts))
        ),
        *((0.1, 500), (0, 1.5), (0, 20), (0, 1.5), _ANY, (-1, 1)),
        linear="a c d",
    ),
    _form(
        _MOE,
        lambda n_active, experts, p0, p1, p2, p3, p4, p5: (
            p0
            + np.exp(
                p1
                + p2 * np.log(experts)
                + p3 * np.log(n_active)
                + p4 * np.log(experts) * np.log(n_active)
            )
            + p5 * np.log(experts)
        ),
        *(_FLOOR, (-5, 10), (-1, 1), (-1, 1), (-0.1, 0.1), (-1, 1)),
        linear="p0 p5",
    ),
    _form(
        _MOE,
        lambda n_active, experts, a, b, c, d, e, f: (
            a * _power(n_active, -b) * (1 + c * _power(experts, -d))
            + e
            + f / (experts * n_active**0.05)
        ),
        *((0, 200), (0, 1.5), (-5, 20), (-0.5, 2), _ANY, (-20, 20)),
        linear="a e f",
    ),
    _form(
        _MOE,
        lambda n_active, experts, p0, p1, p2, p3, p4, p5: (
            p0 * _power(experts, p1) * _power(n_active, p2) + p3 * _power(n_active, p4) + p5
        ),
        *((-500, 500), (-1, 0.5), (-1.5, 0.5), (-500, 500), (-1.5, 0.5), _ANY),
        linear="p0 p3 p5",
    ),
    _form(
        _MOE,
        lambda n_active, experts, a, b, c, d: a * _power(n_active, b) * _power(experts, c) + d,
        *((0, 500), (-1.5, 0.5), (-1.5, 0.5), _FLOOR),
        linear="a d",
    ),
    _form(
        _MOE,
        lambda n_active, experts, c0, A, g, a: (
            c0 + A * np.exp(-a * (np.log(n_active) + g * np.log(experts)))
        ),
        *(_FLOOR, (0, 500), (-1, 2), _UP),
        linear="c0 A",
    ),
    _form(
        _MOE,
        lambda n_active, experts, bias, A, alpha, B, gamma, beta: (
            bias
            + A
            * _power(n_active / 1e9, -alpha)
            * _power((1 + B * _power(experts, gamma)) / (1 + B), -beta)
        ),
        *(_FLOOR, (0, 15), _UP, (0, 100), (0, 6), _UP),
        linear="bias A",
    ),
]

_PARALLEL = "N P"
_AMOUNT, _DOWN = (0.0, 500.0), (-2.0, 0.0)
PARALLEL = [
    _form(
        _PARALLEL,
        lambda N, P, c0, cN, alpha, cS, beta, cNS: (
            c0
            + cN * _power(N, -alpha)
            + cS * _power(P, -beta)
            + cNS * _power(N, -alpha) * _power(P, -beta)
        ),
        *(_ANY, _AMOUNT, _UP, (-50, 50), _UP, (-100, 100)),
        linear="c0 cN cS cNS",
    ),
    _form(
        _PARALLEL,
        lambda N, P, c0, cN, alpha, cS, beta: c0 + cN * _power(N, -alpha) + cS * _power(P, -beta),
        *(_ANY, _AMOUNT, _UP, (-50, 50), _UP),
        linear="c0 cN cS",
    ),
    _form(
        _PARALLEL,
        lambda N, P, a, b, c, d: a * _power(N, b) + c / (1 + P) + d,
        *(_AMOUNT, _DOWN, _ANY, _ANY),
        linear="a c d",
    ),
    _form(
        _PARALLEL,
        lambda N, P, a, b, c, d: a * _power(N, b) + c / np.sqrt(P) + d,
        *(_AMOUNT, _DOWN, _ANY, _ANY),
        linear="a c d",
    ),
    _form(
        _PARALLEL,
        lambda N, P, A, k, alpha, E: _power(A / (N * (k * np.log(P) + 1)), alpha) + E,
        *((1, 1e9), (0, 100), (0, 3), _ANY),
        linear="E",
    ),
    _form(
        _PARALLEL,
        lambda N, P, c0, c1, alpha, beta: c0 + c1 * (_power(N, -alpha) + _power(P, -beta)),
        *((-200, 200), (-200, 200), _UP, _UP),
        linear="c0 c1",
    ),
    _form(
        _PARALLEL,
        lambda N, P, L0, A, alpha, k: L0 + A * _power(N, -alpha) / (1 + k * np.log(P)),
        *(_ANY, _AMOUNT, _UP, (-0.4, 50)),
        linear="L0 A",
    ),
    _form(
        _PARALLEL,
        lambda N, P, a, b, c, d: (a * _power(N, b) + c) / (1 + d * np.log(P)),
        *(_AMOUNT, _DOWN, _ANY, (-0.4, 10)),
        linear="a c",
    ),
    _form(
        _PARALLEL,
        lambda N, P, A, alpha, beta: A * _power(N, -alpha) * _power(P, -beta),
        *((0, 5000), _UP, _UP),
        linear="A",
    ),
    _form(
        _PARALLEL,
        lambda N, P, A, alpha, E, beta: (A * _power(N, -alpha) + E) * _power(P, -beta),
        *(_AMOUNT, _UP, _ANY, _UP),
        linear="A E",
    ),
]

_VOCAB = "N vocab_size num_characters"
_LOW = (-100.0, 100.0)
VOCAB = [
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, c0, A, b, e, g: (
            c0 + A * np.exp(b * np.log(vocab_size) + e * np.log(N) + g * np.log(num_characters))
        ),
        *(_LOW, _WIDE, _ANY, _ANY, _ANY),
        linear="c0 A",
    ),
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, L, A, alpha, beta, C, v0, r: (
            L
            + A
            * _power(0.5, 1 / r)
            * _mean(-alpha * np.log(N), -beta * np.log(num_characters), r)
            * (1 + C * (np.log(vocab_size) - v0) ** 2)
        ),
        *(_LOW, _WIDE, _ANY, _ANY, _LOW, (-10, 30), (0.1, 10)),
        linear="L A",
    ),
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, L0, a, alpha, b, beta, phi, q: (
            L0
            + _mean(
                np.log(a) - alpha * np.log(N),
                np.log(b) - beta * (np.log(num_characters) + phi * np.log(vocab_size)),
                q,
            )
        ),
        *(_LOW, (1e-6, 1e4), _ANY, (1e-6, 1e4), _ANY, _ANY, (0.1, 10)),
        linear="L0",
    ),
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, L, A, a, b, d, lam, g: (
            L
            + A
            * np.exp(
                -d * _larger(a * np.log(N), np.log(lam) + b * np.log(num_characters))
                - g * np.log(vocab_size)
            )
        ),
        *(_LOW, _WIDE, _ANY, _ANY, _ANY, (1e-6, 1e4), _ANY),
        linear="L A",
    ),
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, p0, p1, p2, p3, p4, p5, p6: (
            p0 * np.exp(p1 * np.log(N) + p2 * np.log(vocab_size) + p3 * np.log(num_characters))
            + p4 * _power(N, p5)
            + p6
        ),
        *(_WIDE, _ANY, _ANY, _ANY, _WIDE, _ANY, _LOW),
        linear="p0 p4 p6",
    ),
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, A, alpha, k1, B, beta, k2, c0: (
            A * np.exp(-alpha * (np.log(N) + k1 * np.log(vocab_size)))
            + B * np.exp(-beta * (np.log(num_characters) + k2 * np.log(vocab_size)))
            + c0
        ),
        *(_WIDE, _ANY, _ANY, _WIDE, _ANY, _ANY, _LOW),
        linear="A B c0",
    ),
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, A, alpha, beta, B, gamma, delta, c0: (
            A * np.exp(-alpha * np.log(N) - beta * np.log(num_characters))
            + B * np.exp(gamma * np.log(vocab_size) - delta * np.log(num_characters))
            + c0
        ),
        *(_WIDE, _ANY, _ANY, _WIDE, _ANY, _ANY, _LOW),
        linear="A B c0",
    ),
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, c0, c1, c2, alpha, c3, gamma, beta: (
            c0
            + c1 * np.log(vocab_size)
            + _power(vocab_size, beta)
            * (c2 * _power(N, -alpha) + c3 * _power(num_characters, -gamma))
        ),
        *(_LOW, _LOW, _WIDE, _ANY, _WIDE, _ANY, _ANY),
        linear="c0 c1 c2 c3",
    ),
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, A, alpha, beta, gamma, delta, epsilon, L: (
            A
            * np.exp(-alpha * np.log(N) - beta * np.log(num_characters))
            * (1 + gamma * np.log(vocab_size))
            + delta * _power(vocab_size, epsilon)
            + L
        ),
        *(_WIDE, _ANY, _ANY, _LOW, _WIDE, _ANY, _LOW),
        linear="A delta L",
    ),
    _form(
        _VOCAB,
        lambda N, vocab_size, num_characters, L, a, bP, bV1, bV2, bD, bVD: (
            L
            + np.exp(
                a
                + bP * np.log(N)
                + bV1 * np.log(vocab_size)
                + bV2 * np.log(vocab_size) ** 2
                + bD * np.log(num_characters)
                + bVD * np.log(vocab_size) * np.log(num_characters)
            )
        ),
        *(_LOW, (-20, 20), (-2, 2), (-2, 2), (-0.1, 0.1), (-2, 2), (-0.1, 0.1)),
        linear="L",
    ),
]

THEIRS = {"moe": MOE, "parallel": PARALLEL, "vocab": VOCAB}
