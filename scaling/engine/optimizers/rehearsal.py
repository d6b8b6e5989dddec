"""Two updates of an optimizer that is not shipped, on small tensors, before it trains anything.

In milliseconds this finds mistakes that otherwise show only in a resumed run, in a pack, or never:
weights that are not changed in place, a state that no checkpoint would hold, members that change
each other's numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from scalinglab.scaling.errors import ConfigError

if TYPE_CHECKING:
    from scalinglab.scaling.engine.optimizers.optimizer import Optimizer

_LONGEST_SIDE = 4  # of the small tensors
_LR = 1e-2


def rehearse(
    name: str, sizes: Mapping[str, torch.Size], build: Callable[[int, Mapping], Optimizer]
) -> None:
    """Refuse an optimizer whose runs would be silently wrong.

    Parameters
    ----------
    name : str
        Of the optimizer.
    sizes : mapping
        Size of each tensor by name.
    build : callable
        Number of members, and sizes of tensors -> an optimizer with the settings of a run.

    Raises
    ------
    ConfigError
        Naming the optimizer and what it does.
    """
    small = {n: torch.Size(min(side, _LONGEST_SIDE) for side in size) for n, size in sizes.items()}
    generator = torch.Generator().manual_seed(0)
    count = sum(size.numel() for size in small.values())
    start, *gradients = torch.randn(3, 2, count, generator=generator)
    pack, weights = build(2, small), start.clone()
    pack.start(weights)
    _step(pack, weights, gradients[0], 1)
    if torch.equal(weights, start):
        raise ConfigError(
            f"optimizer.name = {name!r}: its update leaves the weights as they are; they are "
            "changed in place (weights.add_(...)), never assigned (weights = ...)"
        )
    resumed, resumed_weights = build(2, small), weights.clone()
    resumed.start(resumed_weights)
    resumed_weights.copy_(weights)
    for key, moment in _moments(pack).items():
        _moments(resumed)[key].copy_(moment)
    alone, weights_alone = build(1, small), start[:1].clone()
    alone.start(weights_alone)
    _step(alone, weights_alone, gradients[0][:1], 1)
    _step(alone, weights_alone, gradients[1][:1], 2)
    _step(pack, weights, gradients[1], 2)
    _step(resumed, resumed_weights, gradients[1], 2)
    if not torch.equal(resumed_weights, weights):
        raise ConfigError(
            f"optimizer.name = {name!r}: resumed after an update it goes on otherwise; all that it "
            "remembers stands in self.moments, which a checkpoint holds"
        )
    change_alone, change = weights_alone - start[:1], weights[:1] - start[:1]
    if not torch.allclose(change_alone, change, rtol=0.02, atol=1e-5):
        raise ConfigError(
            f"optimizer.name = {name!r}: a run beside another one in a pack is updated otherwise "
            "than alone; no operation may mix rows, as weights.norm() does "
            "(self.norm(weights) does not)"
        )


def _step(optimizer: Optimizer, weights: Tensor, gradient: Tensor, count: int) -> None:
    lr = torch.full((len(weights),), _LR, dtype=torch.float64)
    optimizer.step(weights, gradient.clone(), lr, count)


def _moments(optimizer: Optimizer) -> dict[tuple[str, str], Tensor]:
    """The tensors of the moments by kind and name; a buffer of all tensors has no name."""
    tensors: dict[tuple[str, str], Tensor] = {}
    for kind, moment in optimizer.moments.items():
        by_name = {"": moment} if isinstance(moment, Tensor) else moment
        tensors |= {(kind, name): tensor for name, tensor in by_name.items()}
    return tensors
