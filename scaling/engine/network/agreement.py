"""Whether parts build the parameters that their descriptions say."""

from __future__ import annotations

import torch

from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import tensor_sizes


def disagreement(architecture: Architecture) -> str:
    """The first parameter that is said otherwise than it is built, in words; empty if none.

    The network is built on the meta device, where tensors have no numbers.
    """
    with torch.device("meta"):
        built = [(n, tuple(p.shape)) for n, p in Transformer(architecture).named_parameters()]
    said = [(name, tuple(size)) for name, size in tensor_sizes(architecture).items()]
    for place in range(max(len(said), len(built))):
        one, other = (_at(place, tensors) for tensors in (said, built))
        if one != other:
            return f"tensors() says {one} where the module has {other}"
    return ""


def _at(place: int, tensors: list[tuple[str, tuple[int, ...]]]) -> str:
    if place >= len(tensors):
        return "nothing"
    name, size = tensors[place]
    return f"{name} of {' x '.join(map(str, size))}"
