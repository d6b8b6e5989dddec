"""Whether parts build the parameters in their descriptions."""

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
    """The first parameter that is built otherwise than described, in words; empty if none.

    The network is built on the meta device, where tensors have no numbers. It is built once for
    each architecture, as the runs of a study differ mostly in seeds and rates.
    """
    classes = tuple((type(p), _ARITHMETIC[p.slot][p.name]) for p in architecture.parts)
    return _disagreement(json.dumps(architecture.science(), sort_keys=True), classes)


@functools.lru_cache(maxsize=1024)
def _disagreement(science: str, classes: tuple[Any, ...]) -> str:
    """See `disagreement`; `classes` are in the key, as a notebook may register a part again."""
    architecture = Architecture.from_science(json.loads(science))
    with torch.device("meta"):
        built = [(n, tuple(p.shape)) for n, p in Transformer(architecture).named_parameters()]
    described = [(name, tuple(size)) for name, size in tensor_sizes(architecture).items()]
    for place in range(max(len(described), len(built))):
        tensor, built_tensor = _at(place, described), _at(place, built)
        if tensor != built_tensor:
            return f"tensors() says {tensor} where the module has {built_tensor}"
    return ""


def _at(place: int, tensors: list[tuple[str, tuple[int, ...]]]) -> str:
    if place >= len(tensors):
        return "nothing"
    name, size = tensors[place]
    return f"{name} of {' x '.join(map(str, size))}"
