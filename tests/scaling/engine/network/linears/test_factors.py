"""Matrices of factors are the matrices that they say, beside the plainest code for each."""

from __future__ import annotations

import pytest
import torch

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict

SHAPE = {"depth": 2, "width": 48, "heads": 4, "context": 8}


def network(**model) -> tuple[Architecture, Transformer]:
    architecture = architecture_of(from_dict(ModelConfig, SHAPE | model), vocab=7)
    model = Transformer(architecture)
    model.load_state_dict(dict(initial_weights(architecture, seed=0)))
    return architecture, model


def whole(module: torch.nn.Module, columns: int) -> torch.Tensor:
    """The matrix of a linear map, column by column."""
    with torch.no_grad():
        return module(torch.eye(columns)).T


@pytest.mark.parametrize(("columns", "name"), [(48, "up"), (192, "down"), (48, "query")])
def test_a_low_rank_is_a_product(columns, name):
    _, model = network(linear={"name": "low_rank", "rank": 0.25})
    block = model.blocks[1]
    module = getattr(block, name) if name != "query" else block.attention.query
    matrix = whole(module, columns)
    torch.testing.assert_close(matrix, module.weight.detach() @ module.inner.detach())
    assert torch.linalg.matrix_rank(matrix) == 12


@pytest.mark.parametrize(("columns", "name"), [(48, "up"), (192, "down"), (48, "query")])
def test_monarch_is_two_block_diagonal_matrices_and_a_permutation(columns, name):
    _, model = network(linear={"name": "monarch", "blocks": 4})
    block = model.blocks[1]
    module = getattr(block, name) if name != "query" else block.attention.query
    first = torch.block_diag(*module.inner.detach())
    second = torch.block_diag(*module.weight.detach())
    inner = len(first)
    shuffle = torch.eye(inner).view(4, inner // 4, inner).transpose(0, 1).reshape(inner, inner)
    matrix = whole(module, columns)
    torch.testing.assert_close(matrix, second @ shuffle @ first)
    assert matrix.ne(0).all()  # each output has every input


def test_outputs_start_as_large_as_a_dense_matrix_makes_them():
    for linear in ("dense", "low_rank", "monarch"):
        _, model = network(linear=linear, width=256, heads=4)
        x = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            assert float(model.blocks[0].up(x).std()) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(
    ("linear", "block"),
    [
        # Four square matrices and two of 4 d: by hand, of d = 48.
        ({"name": "low_rank", "rank": 0.25}, 4 * 2 * 48 * 12 + 2 * 12 * (48 + 192)),
        ({"name": "low_rank", "rank": 0.25, "within": "mixer"}, 4 * 2 * 48 * 12 + 2 * 48 * 192),
        ({"name": "monarch", "blocks": 4}, (4 * 2 * 48 * 48 + 2 * 48 * (48 + 192)) // 4),
        ({"name": "monarch", "within": "feed_forward"}, 4 * 48**2 + 2 * 48 * (48 + 192) // 4),
    ],
)
def test_counts_are_those_of_the_factors(linear, block):
    architecture, model = network(linear=linear)
    counts = parameter_counts(architecture)
    assert counts["n_block"] == 2 * block
    assert counts["n_total"] == sum(p.numel() for p in model.parameters())
    assert counts["n_active"] == counts["n_matmul"] == 2 * block + 7 * 48
