"""Products of rows that stand group by group, each group with a matrix of its own.

Letters in names are sizes: N rows, E groups, D columns of the rows, M columns of the result.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import shape_wrapper

_ALIGNED_BYTES = 16  # of a row of either matrix, for torch's kernels


def grouped_linear(x_ND: Tensor, weight_EMD: Tensor, load_E: Tensor) -> Tensor:
    """The first rows times the first matrix, the next times the second, and so on, (N, M).

    One call of torch's grouped product where this machine has one for these numbers, otherwise a
    product for each group; equal to rounding.

    Parameters
    ----------
    x_ND : Tensor
    weight_EMD : Tensor
    load_E : Tensor
        Rows of each group, whole numbers that add up to N.
    """
    kind = x_ND.device.type
    if torch.is_autocast_enabled(kind):  # which does not know the grouped product
        dtype = torch.get_autocast_dtype(kind)
        x_ND, weight_EMD = x_ND.to(dtype), weight_EMD.to(dtype)
    aligned = all(n * x_ND.element_size() % _ALIGNED_BYTES == 0 for n in weight_EMD.shape[1:])
    if aligned and has_grouped_product(kind, x_ND.dtype):
        return _at_once(x_ND, weight_EMD, load_E)
    return _one_by_one(x_ND, weight_EMD, load_E)


def _at_once(x_ND: Tensor, weight_EMD: Tensor, load_E: Tensor) -> Tensor:
    return F.grouped_mm(x_ND, weight_EMD.mT, offs=load_E.cumsum(0).to(torch.int32))


def _one_by_one(x_ND: Tensor, weight_EMD: Tensor, load_E: Tensor) -> Tensor:
    # Unbound at once, as the gradient of a single slice would have the size of all matrices.
    matrices = weight_EMD.unbind()
    rows = x_ND.split(load_E.tolist())
    return torch.cat([F.linear(x_nD, w) for x_nD, w in zip(rows, matrices, strict=True)])


@functools.cache
def has_grouped_product(kind: str, dtype: torch.dtype) -> bool:
    """Whether torch's grouped product is right on a kind of device, backward pass included.

    It is tried, as which devices and numbers it knows differs between versions of torch.
    """
    generator = torch.Generator().manual_seed(0)
    x_ND = torch.randn(24, 16, generator=generator).to(kind, dtype).requires_grad_()
    weight_EMD = torch.randn(3, 32, 16, generator=generator).to(kind, dtype).requires_grad_()
    load_E = torch.tensor([8, 0, 16], device=kind)
    found = []
    with torch.enable_grad(), torch.autocast(kind, enabled=False):
        for product in (_at_once, _one_by_one):
            try:
                y_NM = product(x_ND, weight_EMD, load_E)
            except (AttributeError, RuntimeError):  # no such function, or not for these
                return False
            gradients = torch.autograd.grad(y_NM, (x_ND, weight_EMD), torch.ones_like(y_NM))
            found.append((y_NM.detach(), *gradients))
    return all(torch.allclose(a, b, rtol=0.02, atol=0.02) for a, b in zip(*found, strict=True))


def _flops(a_shape: Any, b_shape: Any, *_: Any, **__: Any) -> int:
    """Of rows by groups (N, D) with matrices (E, D, M), of columns by groups, or of neither."""
    return 2 * int(torch.Size(a_shape).numel()) * int(b_shape[-1])


# torch's counter of FLOPs does not know the operation (2.13).
GROUPED_FLOPS: dict[Any, Any] = {}
if hasattr(torch.ops.aten, "_grouped_mm"):
    GROUPED_FLOPS[torch.ops.aten._grouped_mm] = shape_wrapper(_flops)
    GROUPED_FLOPS[torch.ops.aten._grouped_mm]._get_raw = True
