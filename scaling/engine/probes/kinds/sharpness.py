"""Sharpness: the extreme eigenvalues of the loss's Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from scalinglab.scaling.engine.network.arithmetic import matrix_products
from scalinglab.scaling.engine.network.cross_entropy import mean_cross_entropy
from scalinglab.scaling.engine.network.module import logits_of
from scalinglab.scaling.engine.probes.model import Model
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.sharpness import Sharpness

_NOTHING = 1e-12  # of the largest eigenvalue: the vectors before span all that there is
Product = Callable[[Tensor], Tensor]


class Extremes(NamedTuple):
    """Extreme eigenvalues of a symmetric matrix, approached from within.

    Some eigenvalue lies within `error` of `largest`.
    """

    largest: float
    smallest: float
    error: float


@PROBED_BY.register("sharpness")
def sharpness(probe: Sharpness, reading: Reading) -> dict[str, float]:
    """``largest``, ``smallest``, and the ``error`` of the largest: an eigenvalue lies within it."""
    model = reading.model()
    tokens = torch.from_numpy(reading.next_batch()[: probe.sequences].copy())
    with sdpa_kernel(SDPBackend.MATH):  # the others have no second derivative
        product, size = hessian_product(model, tokens.to(model.device).long())

        def checked(vector: Tensor) -> Tensor:
            reading.go_on()
            return product(vector)

        with matrix_products("fp32"):
            ends = extremes(checked, size, probe.steps, probe.tolerance, probe.seed)
    return ends._asdict()


def hessian_product(model: Model, tokens_BT: Tensor) -> tuple[Product, int]:
    """The Hessian of the mean loss of some sequences times a vector, and its size."""
    parameters = [p for p in model.network.parameters() if p.requires_grad]
    sizes = [p.numel() for p in parameters]

    def product(vector: Tensor) -> Tensor:
        parts = vector.to(parameters[0]).split(sizes)
        total = torch.zeros(sum(sizes), dtype=torch.float64)
        for part in tokens_BT.split(model.part):
            logits = logits_of(model.network(part[:, :-1])).float() * model.multiplier
            targets_N = part[:, 1:].flatten()
            loss = mean_cross_entropy(logits.flatten(0, 1), targets_N, model.options.excluded)
            gradients = torch.autograd.grad(loss, parameters, create_graph=True, allow_unused=True)
            along = sum(
                (g * p.view_as(g)).sum()
                for g, p in zip(gradients, parts, strict=True)
                if g is not None
            )
            assert isinstance(along, Tensor)  # some parameter has a gradient
            second = torch.autograd.grad(along, parameters, allow_unused=True)
            flat = [
                torch.zeros_like(p) if h is None else h
                for h, p in zip(second, parameters, strict=True)
            ]
            share = len(part) / len(tokens_BT)
            total += share * torch.cat([h.flatten() for h in flat]).double().cpu()
        return total

    return product, sum(sizes)


def extremes(product: Product, size: int, steps: int, tolerance: float, seed: int) -> Extremes:
    """Extreme eigenvalues of a symmetric matrix by Lanczos' method, in float64.

    Parameters
    ----------
    product : callable
        The matrix times a vector, (size,).
    size, steps : int
        Of the matrix; most products.
    tolerance : float
        Ends when the residual of the largest eigenvalue is smaller than this share of it.
    seed : int
        Of the first vector.
    """
    vector = torch.randn(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    steps = min(steps, size)
    basis = torch.empty(steps, size, dtype=torch.float64)  # pages are taken as rows are written
    basis[0] = vector / vector.norm()
    diagonal: list[float] = []
    beside: list[float] = []
    ends = Extremes(0.0, 0.0, float("inf"))
    for step in range(steps):
        after, known = product(basis[step]).double(), basis[: step + 1]
        diagonal.append(float(after @ basis[step]))
        for _ in range(2):  # once is not enough in floating point
            after = after - known.T @ (known @ after)
        length = float(after.norm())
        values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, beside))
        error = length * abs(float(vectors[-1, -1]))
        ends = Extremes(float(values[-1]), float(values[0]), error)
        if error <= tolerance * abs(ends.largest) or length <= _NOTHING * abs(ends.largest):
            break
        if step + 1 < steps:
            beside.append(length)
            basis[step + 1] = after / length
    return ends


def _tridiagonal(diagonal: list[float], beside: list[float]) -> Tensor:
    off = torch.tensor(beside[: len(diagonal) - 1], dtype=torch.float64)
    middle = torch.tensor(diagonal, dtype=torch.float64)
    return torch.diag(middle) + torch.diag(off, 1) + torch.diag(off, -1)
