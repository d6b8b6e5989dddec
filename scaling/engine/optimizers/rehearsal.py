"""Two updates of an optimizer of a person's own, on small tensors, before it trains anything.

What would be noticed only in a resumed run, in a pack, or never, is found in milliseconds: weights
that are not changed in place, a state that no checkpoint would hold, members that touch each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scalinglab.scaling.errors import ConfigError

if TYPE_CHECKING:
    from scalinglab.scaling.engine.optimizers.optimizer import Optimizer

_LONGEST = 4  # of any side of a tensor
_LR = 1e-2


def rehearse(
    name: str, sizes: Mapping[str, torch.Size], build: Callable[[int, Mapping], Optimizer]
) -> None:
    """Refuse an optimizer whose runs would be wrong without a word.

    Parameters
    ----------
    name : str
        Of the optimizer.
    sizes : mapping
        Size of each tensor by name.
    build : callable
        Number of members and sizes of tensors to an optimizer with the settings of a run.

    Raises
    ------
    ConfigError
        Naming the optimizer and what it does.
    """
    small = {n: torch.Size(min(side, _LONGEST) for side in size) for n, size in sizes.items()}
    generator = torch.Generator().manual_seed(0)
    count = sum(size.numel() for size in small.values())
    start, first, second = torch.randn(3, 2, count, generator=generator)
    whole, weights = build(2, small), start.clone()
    whole.start(weights)
    _step(whole, weights, first, 1)
    if torch.equal(weights, start):
        raise ConfigError(
            f"optimizer.name = {name!r}: its update leaves the weights as they are; they are changed "
            "in place (weights.add_(...)), never assigned (weights = ...)"
        )
    resumed, again = build(2, small), weights.clone()
    resumed.start(again)
    again.copy_(weights)
    for key, moment in _tensors(whole).items():
        _tensors(resumed)[key].copy_(moment)
    alone, only = build(1, small), start[:1].clone()
    alone.start(only)
    _step(alone, only, first[:1], 1)
    _step(alone, only, second[:1], 2)
    _step(whole, weights, second, 2)
    _step(resumed, again, second, 2)
    if not torch.equal(again, weights):
        raise ConfigError(
            f"optimizer.name = {name!r}: resumed after an update it goes on otherwise; all that it "
            "remembers stands in self.moments, which a checkpoint holds"
        )
    if not torch.allclose(only - start[:1], weights[:1] - start[:1], rtol=0.02, atol=1e-5):
        raise ConfigError(
            f"optimizer.name = {name!r}: a run beside another one in a pack is updated otherwise than "
            "alone; no operation may mix rows, as weights.norm() does (self.norm(weights) does not)"
        )


def _step(optimizer: Optimizer, weights: Tensor, gradient: Tensor, count: int) -> None:
    lr = torch.full((len(weights),), _LR, dtype=torch.float64)
    optimizer.step(weights, gradient.clone(), lr, count)


def _tensors(optimizer: Optimizer) -> dict[tuple[str, str], Tensor]:
    """Everything in the moments, by part and name."""
    return {
        (part, name): tensor
        for part, held in optimizer.moments.items()
        for name, tensor in ({"": held} if isinstance(held, Tensor) else held).items()
    }
