"""Dropout whose masks are a function of the seed, the step, the place and the tokens alone.

No generator has a state, so that what a run drops is the same in a pack, in micro-batches, over any
number of processes, when blocks are computed again, and after a kill. A sequence is known by its
tokens, not by its place in a batch, which is another in each process.
"""

from __future__ import annotations

import torch
from torch import Tensor

_BITS = 24  # of a mask's uniform numbers
# Of splitmix64, as signed numbers.
_ODD, _FIRST, _SECOND = (
    value - 2**64 for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


def mixed(x: Tensor) -> Tensor:
    """Each whole number of 64 bits as another that looks random (splitmix64)."""
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def _signed(value: int) -> int:
    """The number of 64 bits that tensors hold for a larger one."""
    return (value + 2**63) % 2**64 - 2**63


def _shifted(x: Tensor, bits: int) -> Tensor:
    """To the right, filled with zeros."""
    return (x >> bits) & (2 ** (64 - bits) - 1)


def key_of(seed: Tensor, step: Tensor | int) -> Tensor:
    """The seed of the draws of a run's step, from whole numbers of 64 bits."""
    number = step.long() if isinstance(step, Tensor) else step
    return mixed(seed + (seed.new_zeros(()) + number) * _ODD)


def of_sequences(key: Tensor, tokens_BT: Tensor) -> Tensor:
    """The key of each sequence, (B,)."""
    place_T = torch.arange(1, tokens_BT.shape[-1] + 1, device=tokens_BT.device)
    return mixed(mixed(tokens_BT.long() + place_T * _ODD).sum(-1) + key)


def of_place(key_B: Tensor, place: int) -> Tensor:
    """The keys of one place in the network."""
    return mixed(key_B + _signed(place * _FIRST))


def dropped(x_BTD: Tensor, share: float, key_B: Tensor) -> Tensor:
    """The values, a share of them zero and the others as much larger."""
    T, D = x_BTD.shape[-2:]
    index_TD = torch.arange(T * D, device=x_BTD.device).view(T, D)
    drawn_BTD = mixed(index_TD * _ODD + key_B[:, None, None])
    kept_BTD = _shifted(drawn_BTD, 64 - _BITS) >= round(share * 2**_BITS)
    return x_BTD * (kept_BTD.to(x_BTD.dtype) / (1 - share))
