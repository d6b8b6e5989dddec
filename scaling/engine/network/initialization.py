"""Initial weights: pure functions of (seed, name, architecture).

A generator per name (Philox, keyed by a hash) makes them independent of the device, of the order
of creation and of what else trains in the same process. Gains are one, biases zero; the scale of
each matrix is its rule's (``scalinglab.scaling.model.parametrization``).

- ``normal``, ``small``: normal; the rule has the scale.
- ``mimetic``: queries with keys near the identity, values with outputs near minus the identity
  (arXiv 2305.09828).
- ``lsuv``: orthonormal matrices, then divided, layer after layer, by the deviation of what they
  give on a batch (arXiv 1511.06422). The batch is drawn evenly from the vocabulary, so that initial
  weights need no data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from scalinglab.scaling.engine.network.module import module_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import Size, tensor_sizes
from scalinglab.scaling.model.module import ModuleNetwork, Network
from scalinglab.scaling.model.parametrization import VECTORS, initial_deviations, role_of
from scalinglab.scaling.model.part import Start
from scalinglab.scaling.model.shape import Shape

Weights = dict[str, Tensor]
# Noise and identity of mimetic products, as the paper starts vision models.
QUERY_KEY, VALUE_OUT = (0.7, 0.7), (0.4, -0.4)
LSUV_TOKENS = 2_048
ROWS_AT_ONCE = 256  # numpy draws in float64, which for all rows would take twice a tensor's room


def initial_weights(architecture: Network, seed: int) -> Iterator[tuple[str, Tensor]]:
    """The parameters of a fresh model, float32 by name, in the order of ``named_parameters``.

    Each is drawn when it is asked for: who drops one before the next never holds the whole model.
    Under ``mimetic`` the attention of a layer comes at once, under ``lsuv`` all of the model, and
    of a network of anybody's all, as its own code has drawn it.
    """
    if isinstance(architecture, ModuleNetwork):
        return module_weights(architecture, seed)
    deviations = initial_deviations(architecture)
    sizes = tensor_sizes(architecture)
    drawn = ((name, _draw(name, size, deviations[name], seed)) for name, size in sizes.items())
    if architecture.init == "mimetic":
        return _mimetic(architecture.shape, drawn, seed)
    if architecture.init == "lsuv":
        return iter(_unit_variance(architecture, dict(drawn), seed).items())
    return drawn


def _generator(seed: int, name: str) -> np.random.Generator:
    key = int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


def _draw(name: str, size: Size, deviation: float, seed: int) -> Tensor:
    role = role_of(name, size)
    if isinstance(size, Start):
        return torch.full(size, size.value)
    if role in VECTORS:
        return torch.full(size, 1.0 if role == "gain" else 0.0)
    weight, generator = torch.empty(size), _generator(seed, name)
    for rows in weight.split(ROWS_AT_ONCE):
        rows.copy_(torch.from_numpy(deviation * generator.standard_normal(rows.shape)))
    return weight


# ---------------------------------------------------------------------- mimetic


def _mimetic(
    shape: Shape, drawn: Iterator[tuple[str, Tensor]], seed: int
) -> Iterator[tuple[str, Tensor]]:
    """The drawn weights, except the matrices of attention."""
    attention: Weights = {}
    for name, weight in drawn:
        if name.endswith("attention.query.weight"):
            attention = _attention(shape, name.removesuffix(".query.weight"), seed)
        yield name, attention.pop(name, weight)


def _attention(shape: Shape, prefix: str, seed: int) -> Weights:
    """A layer's matrices, which come in pairs with a given product."""
    found, generator = {}, _generator(seed, prefix)
    noise = generator.standard_normal((shape.heads, shape.width, shape.width))
    left, right = _factors(noise, *QUERY_KEY, rank=shape.head_dim)
    query, key = np.swapaxes(left, -1, -2), right
    noise = generator.standard_normal((shape.width, shape.width))
    out, value = _factors(noise, *VALUE_OUT, rank=shape.width)
    for name, matrix in {"query": query, "key": key, "value": value, "out": out}.items():
        matrix = matrix.reshape(shape.width, shape.width).astype(np.float32)
        found[f"{prefix}.{name}.weight"] = torch.from_numpy(np.ascontiguousarray(matrix))
    return found


def _factors(noise: np.ndarray, scale: float, identity: float, rank: int) -> tuple:
    """(..., d, rank) and (..., rank, d) whose product is nearest scale Z / sqrt(d) + identity I."""
    d = noise.shape[-1]
    u, s, v = np.linalg.svd(scale * noise / np.sqrt(d) + identity * np.eye(d))
    root = np.sqrt(s[..., :rank])
    return u[..., :rank] * root[..., None, :], root[..., :, None] * v[..., :rank, :]


# ---------------------------------------------------------------------- unit variance


def _unit_variance(architecture: Architecture, weights: Weights, seed: int) -> Weights:
    """Weights after one forward pass in which each linear map is scaled before the next is met."""
    shape = architecture.shape
    model = Transformer(architecture).double()
    model.load_state_dict(weights)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.data = _orthonormal(module.weight.data)
            module.register_forward_hook(_scale_to_unit_variance)
    size = (-(-LSUV_TOKENS // shape.context), shape.context)
    with torch.no_grad():  # in float64, whose rounding, which threads may change, float32 drops
        model(torch.from_numpy(_generator(seed, "lsuv").integers(shape.vocab, size=size)))
    return {name: p.detach().float() for name, p in model.named_parameters()}


def _orthonormal(weight: Tensor) -> Tensor:
    """The orthonormal factor of a normal matrix, rows or columns, whichever are fewer."""
    if len(weight) < weight.shape[1]:
        return _orthonormal(weight.T).T
    q, r = torch.linalg.qr(weight)
    return q * r.diagonal().sign()  # else the signs are the library's


def _scale_to_unit_variance(module: nn.Linear, _: object, output: Tensor) -> Tensor:
    deviation = output.std()
    module.weight.div_(deviation)
    return output / deviation
