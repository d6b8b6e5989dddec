"""The loss with layers skipped, swapped, parallel or removed."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalinglab.scaling.engine.network.streams import stream_of
from scalinglab.scaling.engine.probes.model import Model, hooked
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.layers import REMOVE, SKIP, SWAP, Layers

ANGLE_WINDOWS = 8  # of the validation set, for the angles


@PROBED_BY.register("layers")
def layers(probe: Layers, reading: Reading) -> dict[str, float]:
    """``rise.<layer>`` of the loss, least and mean; with ``remove`` also the angles."""
    model = reading.model()
    whole = reading.loss(model)
    depth = len(model.blocks)

    def rise(forwards: Mapping[int, Any]) -> float:
        reading.go_on()
        with changed(model, forwards):
            return reading.loss(model) - whole

    if probe.do == REMOVE:
        angles = angular_distances(model, reading.windows()[:ANGLE_WINDOWS])
        numbers = {}
        for count in range(1, min(probe.most, depth - 1) + 1):
            first = int(np.nanargmin(angles[count]))
            removed = dict.fromkeys(range(first, first + count), pass_on)
            numbers[f"rise.{count}"] = rise(removed)
            numbers[f"first.{count}"] = first
            numbers[f"angle.{count}"] = float(angles[count][first])
        return numbers
    forwards = [block.forward for block in model.blocks]
    pairs = list(itertools.pairwise(forwards))
    if probe.do == SKIP:
        rises = [rise({i: pass_on}) for i in range(depth)]
    elif probe.do == SWAP:
        rises = [rise({i: other, i + 1: one}) for i, (one, other) in enumerate(pairs)]
    else:
        rises = [rise({i: _both(*pair), i + 1: pass_on}) for i, pair in enumerate(pairs)]
    named = {f"rise.{i}": value for i, value in enumerate(rises)}
    return named | {"rise_min": min(rises), "rise_mean": sum(rises) / len(rises)}


def pass_on(x: Tensor, *_: Tensor) -> Tensor:
    """The forward pass of a layer that is left out."""
    return x


def _both(one: Any, other: Any) -> Any:
    """The forward pass of two parallel layers: both read one stream and add to it."""

    def forward(x: Tensor, *more: Tensor) -> Tensor:
        return stream_of(one(x, *more)) + stream_of(other(x, *more)) - x

    return forward


@contextlib.contextmanager
def changed(model: Model, forwards: Mapping[int, Any]) -> Iterator[None]:
    """A context in which some blocks have other forward passes."""
    blocks: list[Any] = model.blocks
    for place, forward in forwards.items():
        blocks[place].forward = forward
    try:
        yield
    finally:
        for place in forwards:
            del blocks[place].forward


@torch.no_grad()
def angular_distances(model: Model, windows: np.ndarray) -> dict[int, np.ndarray]:
    """n -> angle / pi between the stream before block i and after block i + n - 1, at each i.

    Of the last token of each window, the mean over windows, as in the paper.
    """
    streams: list[list[Tensor]] = [[] for _ in range(len(model.blocks) + 1)]

    def keep(place: int, given: tuple[Any, ...], out: Any) -> None:
        if place == 0:
            streams[0].append(model.stream(given[0])[..., -1, :].double().cpu())
        streams[place + 1].append(model.stream(out)[..., -1, :].double().cpu())

    with hooked(model.blocks, keep):
        for _ in model.logits(windows):
            pass
    x_LND = [torch.cat(parts) for parts in streams]
    depth = len(x_LND) - 1
    return {
        n: np.array([_angle(x_LND[i], x_LND[i + n]) for i in range(depth - n + 1)])
        for n in range(1, depth + 1)
    }


def _angle(one_ND: Tensor, other_ND: Tensor) -> float:
    cosine = torch.cosine_similarity(one_ND, other_ND, dim=-1).clamp(-1, 1)
    return float(cosine.arccos().mean()) / math.pi
