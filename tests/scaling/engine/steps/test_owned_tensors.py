"""Whole tensors, each of one process."""

from __future__ import annotations

import pytest
import torch

from scalinglab.scaling.engine.steps.owned_tensors import assign_owners


@pytest.mark.parametrize("ranks", [1, 2, 3, 5, 40])
def test_everyone_has_about_as_much_and_no_tensor_has_two_owners(ranks):
    """No rank has more than another by more than one tensor, which nobody can divide."""
    rows = [64, 64, 16, 16, 16, 16, 11] * 4
    sizes = {f"tensor {i}": torch.Size((n, 16)) for i, n in enumerate(rows)}
    names = assign_owners(sizes, ranks)
    assert sorted(name for of_rank in names for name in of_rank) == sorted(sizes)
    held = [sum(sizes[name].numel() for name in of_rank) for of_rank in names]
    assert max(held) - min(held) <= 64 * 16
    if ranks < 5:
        assert max(held) < 1.1 * sum(held) / ranks
