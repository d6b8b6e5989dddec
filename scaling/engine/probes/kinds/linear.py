"""Linear probes of the residual stream."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from scalinglab.scaling.engine.probes.model import hooked
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.kinds.linear import BEFORE, SEEN, Linear


@PROBED_BY.register("linear")
def linear(probe: Linear, reading: Reading) -> dict[str, float]:
    """``accuracy.<layer>`` on windows that were not fitted; the best is ``accuracy``, at ``layer``.

    Also ``chance``: the share of the more frequent answer, which needs no network.
    """
    windows = _by_turns(reading.windows(), len(reading.spec.data.pools) or 1)[: probe.windows]
    labels, known = _labels(probe, windows[:, :-1])
    model = reading.model()
    streams: list[list[Tensor]] = [[] for _ in model.blocks]

    def keep(place: int, given: tuple[Any, ...], out: Any) -> None:
        streams[place].append(model.stream(out).detach().double().cpu())

    with hooked(model.blocks, keep):
        for _ in model.logits(windows):
            reading.go_on()
    half = len(windows) // 2
    target = torch.from_numpy(np.where(labels, 1.0, -1.0))
    mask = torch.from_numpy(known)
    numbers: dict[str, float] = {}
    for layer, parts in enumerate(streams):
        x_WTD = torch.cat(parts)
        fitted = x_WTD[:half][mask[:half]], target[:half][mask[:half]]
        tested = x_WTD[half:][mask[half:]], target[half:][mask[half:]]
        numbers[f"accuracy.{layer}"] = _accuracy(fitted, tested, probe.ridge)
    right = target[half:][mask[half:]] > 0
    share = float(right.double().mean())
    best = max(range(len(streams)), key=lambda layer: numbers[f"accuracy.{layer}"])
    return numbers | {
        "accuracy": numbers[f"accuracy.{best}"],
        "layer": best,
        "chance": max(share, 1 - share),
    }


def _by_turns(windows: np.ndarray, pools: int) -> np.ndarray:
    """Windows sorted by pool -> one of each pool in turn, so that each half has all pools."""
    return windows.reshape(pools, -1, windows.shape[1]).swapaxes(0, 1).reshape(windows.shape)


def _labels(probe: Linear, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The property at each place, (W, T), and where it is defined."""
    known = np.ones(tokens.shape, bool)
    if probe.property == BEFORE:
        labels = np.zeros(tokens.shape, bool)
        labels[:, probe.lag :] = tokens[:, : -probe.lag] > np.median(tokens)
        known[:, : probe.lag] = False
        return labels, known
    if probe.property == SEEN:
        same = tokens[:, :, None] == tokens[:, None, :]
        return np.tril(same, -1).any(-1), known
    return np.broadcast_to(np.arange(tokens.shape[1]) % 2 == 0, tokens.shape).copy(), known


def _accuracy(fitted: tuple[Tensor, Tensor], tested: tuple[Tensor, Tensor], ridge: float) -> float:
    """Share of right signs of a ridge regression, features centred on what it is fitted to."""
    x_ND, y_N = fitted
    middle_D, offset = x_ND.mean(0), y_N.mean()
    centred_ND = x_ND - middle_D
    gram_DD = centred_ND.T @ centred_ND
    size = float(gram_DD.diagonal().mean())
    penalty = ridge * size if size > 0 else 1.0
    gram_DD += penalty * torch.eye(len(gram_DD), dtype=gram_DD.dtype)
    weights_D = torch.linalg.solve(gram_DD, centred_ND.T @ (y_N - offset))
    guess_M = (tested[0] - middle_D) @ weights_D + offset
    return float(((guess_M > 0) == (tested[1] > 0)).double().mean())
