"""The grouped product is a product for each group, wherever it is chosen."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from scalinglab.scaling.engine.network import grouped
from scalinglab.scaling.engine.network.grouped import GROUPED_FLOPS, grouped_linear
from scalinglab.scaling.engine.network.watch import Watch

LOAD_E = torch.tensor([3, 0, 9, 4])
needs_grouped = pytest.mark.skipif(
    not grouped.has_grouped_product("cpu", torch.float32),
    reason="this torch has no grouped product on CPUs",
)


def given(dtype=torch.float32, M=16) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    x_ND = torch.randn(16, 8, generator=generator).to(dtype).requires_grad_()
    weight_EMD = torch.randn(4, M, 8, generator=generator).to(dtype).requires_grad_()
    return x_ND, weight_EMD


def product_and_gradients(product, x_ND, weight_EMD):
    y_NM = product(x_ND, weight_EMD, LOAD_E)
    gradient = torch.linspace(-1, 1, y_NM.numel()).view_as(y_NM).to(y_NM.dtype)
    return y_NM, *torch.autograd.grad(y_NM, (x_ND, weight_EMD), gradient)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("M", [16, 7])  # rows of 7 numbers are not aligned
def test_it_is_what_each_group_gives(dtype, M):
    x_ND, weight_EMD = given(dtype, M)
    found = product_and_gradients(grouped_linear, x_ND, weight_EMD)
    expected = product_and_gradients(grouped._one_by_one, x_ND, weight_EMD)
    close = {} if dtype != torch.bfloat16 else {"rtol": 2e-2, "atol": 2e-2}
    torch.testing.assert_close(found, expected, **close)
    assert not found[2][1].any()  # the matrix of a group without rows


@needs_grouped
def test_it_is_one_call_where_the_machine_has_one(monkeypatch):
    monkeypatch.setattr(grouped, "_one_by_one", None)
    assert grouped_linear(*given(), LOAD_E).shape == (16, 16)


def test_a_machine_without_it_takes_one_after_another(monkeypatch):
    def absent(*_, **__):
        raise RuntimeError("not on this device")

    expected = grouped_linear(*given(), LOAD_E)
    monkeypatch.setattr(grouped, "_at_once", absent)
    grouped.has_grouped_product.cache_clear()
    torch.testing.assert_close(grouped_linear(*given(), LOAD_E), expected)
    monkeypatch.undo()
    grouped.has_grouped_product.cache_clear()


def test_a_wrong_product_is_not_chosen(monkeypatch):
    right = grouped._one_by_one
    monkeypatch.setattr(grouped, "_at_once", lambda x, w, load: right(x, w, load) * 1.1)
    grouped.has_grouped_product.cache_clear()
    assert not grouped.has_grouped_product("cpu", torch.float32)
    monkeypatch.undo()
    grouped.has_grouped_product.cache_clear()


def test_autocast_reaches_it():
    with torch.autocast("cpu", torch.bfloat16):
        assert grouped_linear(*given(), LOAD_E).dtype == torch.bfloat16


@needs_grouped
def test_its_flops_are_counted_in_networks_of_anybody():
    class Grouped(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = nn.Parameter(torch.zeros(4, 16, 8))

        def forward(self, x_ND):
            return grouped_linear(x_ND, self.experts, LOAD_E)

    module, x_ND = Grouped(), given()[0].detach()
    with Watch(module, context=16, vocab=99) as watch:
        module(x_ND)
    assert watch.flops == {"experts": 2 * 16 * 8 * 16}
    with FlopCounterMode(display=False, custom_mapping=GROUPED_FLOPS) as counter:
        module(x_ND.requires_grad_()).square().sum().backward()
    assert counter.get_total_flops() == 3 * 2 * 16 * 8 * 16
