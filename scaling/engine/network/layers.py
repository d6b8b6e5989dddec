"""Elements of the parts of a block: activations, multipliers, rotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

ACTIVATION: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu2": lambda x: F.relu(x).square(),  # arXiv 2109.08668
    "relu": F.relu,
    "gelu": F.gelu,
    "swiglu": F.silu,  # these two of the gate, arXiv 2002.05202
    "geglu": F.gelu,
}


def times(x: Tensor, multiplier: float) -> Tensor:
    """x * multiplier, at no cost where it is one."""
    return x if multiplier == 1 else multiplier * x


def rotary_table(context: int, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    """Cosines and sines (T, K) of rotary position embedding (arXiv 2104.09864).

    They are there also in a model that is made on the meta device: they are no parameters.
    """
    # In float32 the angle of position t is off by 6e-8 t: late positions would be blurred.
    arange = partial(torch.arange, dtype=torch.float64, device="cpu")
    frequencies = base ** (-arange(0, head_dim, 2) / head_dim)
    angles = torch.outer(arange(context), frequencies)
    angles_TK = torch.cat([angles, angles], dim=-1)
    return angles_TK.cos().float(), angles_TK.sin().float()


def rotate(x: Tensor, cos_TK: Tensor, sin_TK: Tensor) -> Tensor:
    """Turn each pair (x_i, x_{i+K/2}) by its position's angle."""
    low, high = x.chunk(2, dim=-1)
    return x * cos_TK + torch.cat([-high, low], dim=-1) * sin_TK
