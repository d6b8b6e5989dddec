"""Whether parts build the parameters that their descriptions say."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import torch

from scalinglab.scaling.engine.network.part import (
    ADDED_BY,
    FED_BY,
    MIXED_BY,
    MULTIPLIED_BY,
    NORMED_BY,
)
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import tensor_sizes

_ARITHMETIC: Mapping[str, Mapping[str, Any]] = {
    "mixer": MIXED_BY,
    "feed_forward": FED_BY,
    "norm": NORMED_BY,
    "linear": MULTIPLIED_BY,
    "residual": ADDED_BY,
}


def disagreement(architecture: Architecture) -> str:
    """The first parameter that is said otherwise than it is built, in words; empty if none.

    The network is built on the meta device, where tensors have no numbers: once for each, as the
    runs of a study differ in seeds and rates far oftener.
    """
    halves = tuple((type(p), _ARITHMETIC[p.slot][p.name]) for p in architecture.parts)
    return _disagreement(json.dumps(architecture.science(), sort_keys=True), halves)


@functools.lru_cache(maxsize=1024)
def _disagreement(science: str, halves: tuple[Any, ...]) -> str:
    """Of what a science names; `halves`: a cell of a notebook may have registered others since."""
    architecture = Architecture.from_science(json.loads(science))
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
