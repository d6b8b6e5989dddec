"""Seconds of a training step and of a validation pass, measured here, for a few shapes.

Run as a program in a process of its own, so that a plan need not import torch:

    python -m scaling.measure < requests.json > answers.json
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

import numpy as np
import torch

from scaling.architecture import Architecture
from scaling.engine import ENGINES, Member
from scaling.optimizer_settings import AdamWSettings

STEPS = 4


def measure(request: dict[str, Any]) -> dict[str, float]:
    """Time one shape.

    Parameters
    ----------
    request : dict
        ``model`` (as in the science), ``batch`` of one process, ``micro_batch``, ``engine``,
        ``device``, ``threads``. As a run does, it halves the micro-batch while memory lacks.

    Returns
    -------
    dict
        ``step``: seconds of one update; ``token``: seconds a token of validation.
    """
    torch.set_num_threads(request["threads"])
    size = request["micro_batch"] or request["batch"]
    while True:
        try:
            return _measure(request, size)
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        size //= 2


def _measure(request: dict[str, Any], micro_batch: int) -> dict[str, float]:
    architecture = Architecture.from_science(request["model"])
    shape = architecture.shape
    settings = AdamWSettings(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
    engine = ENGINES[request["engine"]](
        architecture, [Member(0, settings)], device=request["device"], micro_batch=micro_batch
    )
    size = (1, 1, request["batch"], shape.context + 1)
    tokens = np.random.default_rng(0).integers(shape.vocab, size=size)
    lr = np.full((1, 1), 1e-3)
    steps = [_seconds(lambda: engine.train(tokens, lr, torch.Tensor.backward))
             for _ in range(STEPS + 1)][1:]
    windows = tokens[0, 0]
    passes = [_seconds(lambda: engine.evaluate(windows)) for _ in range(STEPS)]
    return {
        "step": statistics.median(steps),
        "token": statistics.median(passes) / (windows.shape[0] * shape.context),
    }


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    json.dump([measure(request) for request in json.load(sys.stdin)], sys.stdout)
