"""Linear maps between the residual streams of two blocks, of one network or of two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scalinglab.scaling.engine.network.cross_entropy import mean_cross_entropy
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.probes.model import Model
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.engine.probes.ridge import AffineMap
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.kinds.maps import END, LATER, Maps

TOKENS_AT_ONCE = 4_096


@dataclass(frozen=True)
class Streams:
    """A network's residual streams on windows, block after block, fitted and tested half.

    Attributes
    ----------
    fitted, tested : list of Tensor
        Of each block (N, D) and (M, D), float64.
    """

    fitted: list[Tensor]
    tested: list[Tensor]

    @classmethod
    def of(cls, model: Model, windows_WT: np.ndarray, reading: Reading) -> Streams:
        """Of the windows the first half is fitted."""
        streams_WTD = model.streams(windows_WT, reading.go_on)
        half = len(windows_WT) // 2
        fitted = [x_WTD[:half].flatten(0, 1) for x_WTD in streams_WTD]
        return cls(fitted, [x_WTD[half:].flatten(0, 1) for x_WTD in streams_WTD])


def relative_error(mapped_MD: Tensor, y_MD: Tensor) -> float:
    """Norm of the difference over that of the target, the mean over tokens (2505.13898)."""
    return float(((mapped_MD - y_MD).norm(dim=-1) / y_MD.norm(dim=-1)).mean())


@PROBED_BY.register("maps")
def maps(probe: Maps, reading: Reading) -> dict[str, float]:
    """``error.<from>`` and ``loss.<from>``, ``error.<from>.<to>``; see `Maps`.

    To the end also ``plain.<from>``, the loss of the head on the stream as it is, and ``loss``,
    that of the network on the same windows. To another run ``best.<to>``, the block from which the
    map is best, and ``apart``: by how much the relative depths of these pairs differ.
    """
    windows = reading.halves(probe.windows)
    model = reading.model(0)
    source = Streams.of(model, windows, reading)
    if probe.to == END:
        targets_M = torch.from_numpy(windows[len(windows) // 2 :, 1:].astype(np.int64)).flatten()
        return _to_end(probe, reading, model, source, targets_M)
    if probe.to == LATER:
        pairs = [(i, j) for j in range(len(source.fitted)) for i in range(j)]
        return _errors(probe, reading, source, source, pairs)
    target = Streams.of(reading.model(1), windows, reading)
    depth, depth_there = len(source.fitted), len(target.fitted)
    pairs = [(i, j) for j in range(depth_there) for i in range(depth)]
    numbers = _errors(probe, reading, source, target, pairs)
    best = [min(range(depth), key=lambda i: numbers[f"error.{i}.{j}"]) for j in range(depth_there)]
    apart = [abs((i + 1) / depth - (j + 1) / depth_there) for j, i in enumerate(best)]
    named = {f"best.{j}": float(i) for j, i in enumerate(best)}
    return numbers | named | {"apart": sum(apart) / len(apart)}


def _errors(
    probe: Maps, reading: Reading, source: Streams, target: Streams, pairs: list[tuple[int, int]]
) -> dict[str, float]:
    """Error of the map of each pair on windows that were not fitted."""
    numbers = {}
    for i, j in pairs:
        reading.go_on()
        mapping = AffineMap(source.fitted[i], target.fitted[j], probe.ridge)
        numbers[f"error.{i}.{j}"] = relative_error(mapping(source.tested[i]), target.tested[j])
    if not numbers:
        raise UserError(f"run {reading.spec.run_id} has one block: there is none after it")
    return numbers


def _to_end(
    probe: Maps, reading: Reading, model: Model, source: Streams, targets_M: Tensor
) -> dict[str, float]:
    if not isinstance(model.network, Transformer):
        raise UserError(
            f"run {reading.spec.run_id}: its network has no head that could be given the stream of"
            " a block; options.to=later and another run need none"
        )
    last = len(source.fitted) - 1
    numbers = {}
    for i in range(last):
        reading.go_on()
        mapping = AffineMap(source.fitted[i], source.fitted[last], probe.ridge)
        mapped_MD = mapping(source.tested[i])
        numbers[f"error.{i}"] = relative_error(mapped_MD, source.tested[last])
        numbers[f"loss.{i}"] = _head_loss(model, mapped_MD, targets_M)
        numbers[f"plain.{i}"] = _head_loss(model, source.tested[i], targets_M)
    return numbers | {"loss": _head_loss(model, source.tested[last], targets_M)}


@torch.no_grad()
def _head_loss(model: Model, x_MD: Tensor, targets_M: Tensor) -> float:
    """Mean loss of the head on rows of a stream, as if the last block had given them."""
    head = model.network
    assert isinstance(head, Transformer)
    total = 0.0
    for x_ND, targets_N in zip(
        x_MD.split(TOKENS_AT_ONCE), targets_M.split(TOKENS_AT_ONCE), strict=True
    ):
        logits_NV = head.logits(x_ND.float().to(model.device)).float()
        targets = targets_N.to(model.device)
        total += float(mean_cross_entropy(logits_NV, targets, model.options.excluded)) * len(x_ND)
    return total / len(x_MD)
