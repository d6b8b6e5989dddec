"""Linear probes of the residual stream."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.engine.probes.ridge import AffineMap
from scalinglab.scaling.probes.kinds.linear import BEFORE, SEEN, Linear


@PROBED_BY.register("linear")
def linear(probe: Linear, reading: Reading) -> dict[str, float]:
    """``accuracy.<layer>`` on windows that were not fitted; the best is ``accuracy``, at ``layer``.

    Also ``chance``: the share of the more frequent answer, which needs no network.
    """
    windows = reading.halves(probe.windows)
    labels, known = _labels(probe, windows[:, :-1])
    streams = reading.model().streams(windows, reading.go_on)
    half = len(windows) // 2
    target = torch.from_numpy(np.where(labels, 1.0, -1.0))
    mask = torch.from_numpy(known)
    numbers: dict[str, float] = {}
    for layer, x_WTD in enumerate(streams):
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
    """Share of right signs of a ridge regression."""
    x_ND, y_N = fitted
    guess_M = AffineMap(x_ND, y_N[:, None], ridge)(tested[0])[:, 0]
    return float(((guess_M > 0) == (tested[1] > 0)).double().mean())
