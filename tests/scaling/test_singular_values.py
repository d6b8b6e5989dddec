"""The diagnostic of weight decay."""

from __future__ import annotations

import torch

from scaling.architecture import Architecture, Shape
from scaling.initialization import initial_weights
from scaling.singular_values import top_singular_values

SMALL = Architecture(Shape(depth=2, width=16, heads=2, mlp_width=64, context=12, vocab=20))


def test_it_is_the_largest_stretch_of_each_matrix_of_the_blocks():
    weights = initial_weights(SMALL, 0)
    found = top_singular_values(weights)
    heads = [f"attention.{name}" for name in ("query", "key", "value", "out")]
    matrices = [*heads, "up", "down"]
    assert found.keys() == {f"blocks.{i}.{name}" for i in range(2) for name in matrices}
    for name, value in found.items():
        weight = weights[f"{name}.weight"]
        x = torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(0))
        for _ in range(200):
            x = weight.T @ (weight @ x)
            x = x / x.norm()
        torch.testing.assert_close(value, (weight @ x).norm(), rtol=1e-3, atol=0)


def test_members_of_a_pack_have_their_own():
    one, other = initial_weights(SMALL, 0), initial_weights(SMALL, 1)
    both = top_singular_values({n: torch.stack([one[n], other[n]]) for n in one})
    for i, weights in enumerate((one, other)):
        for name, value in top_singular_values(weights).items():
            torch.testing.assert_close(both[name][i], value)
