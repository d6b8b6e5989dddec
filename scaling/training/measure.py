"""Seconds of a training step and of a validation pass, measured here, for a few shapes.

Run as a program in a process of its own, so that a plan need not import torch:

    python -m scaling.training.measure < requests.json > answers.json
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from typing import Any

import numpy as np
import torch

from scaling.config import OptimizerConfig
from scaling.engine.eager import ENGINES, Member
from scaling.engine.step_options import StepOptions
from scaling.model.architecture import Architecture
from scaling.optimizer_settings import member_settings, optimizer_science
from scaling.records.failures import OUT_OF_MEMORY, classify

STEPS = 4  # chunks of them that are timed
CHUNK = {"cpu": 1, "cuda": 16}  # steps: on a GPU what comes once a chunk would count too much
LONG_STEP = 0.1  # seconds: arithmetic takes them, which members of a pack do not share


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Time one shape.

    Parameters
    ----------
    request : dict
        ``model`` (as in the science), ``optimizer`` (a name), ``options`` (the fields of
        ``StepOptions``), ``batch`` of one process, ``micro_batch``, ``engine``, ``device``,
        ``threads``, ``packs`` (numbers of members, ascending). As a run does, it halves the
        micro-batch while memory lacks.

    Returns
    -------
    dict
        ``step``: seconds of one update; ``token``: seconds a token of validation; ``packed``:
        members -> the same of a whole pack, up to the first that memory does not hold. Steps too
        long for a pack to shorten are not timed in packs.
    """
    torch.set_num_threads(request["threads"])
    size = request["micro_batch"] or request["batch"]
    while True:
        try:
            alone = _measure(request, size)
            break
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        gc.collect()  # an engine's parts hold each other
        size //= 2
    return alone | {"packed": _measure_packs(request, size, alone["step"])}


def _measure_packs(
    request: dict[str, Any], micro_batch: int, alone: float
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for members in request["packs"] if alone < LONG_STEP else ():
        try:
            timing = _measure(request, micro_batch, members)
        except Exception as error:
            if classify(error) not in OUT_OF_MEMORY:
                raise
            break
        gc.collect()
        found[str(members)] = timing
    return found


def _measure(request: dict[str, Any], micro_batch: int, members: int = 1) -> dict[str, float]:
    architecture = Architecture.from_science(request["model"])
    shape = architecture.shape
    settings = member_settings(optimizer_science(OptimizerConfig(name=request["optimizer"])))
    engine = ENGINES[request["engine"]](
        architecture, [Member(0, settings)] * members, device=request["device"],
        micro_batch=micro_batch, options=StepOptions(**request["options"]),
    )
    chunk = CHUNK[request["device"]]
    size = (chunk, members, request["batch"], shape.context + 1)
    tokens = np.random.default_rng(0).integers(shape.vocab, size=size)
    lr = np.full((chunk, members), 1e-3)
    steps = [_seconds(lambda: engine.train(tokens, lr, torch.Tensor.backward))
             for _ in range(STEPS + 1)][1:]
    windows = tokens[0, 0]
    passes = [_seconds(lambda: engine.evaluate(windows)) for _ in range(STEPS)]
    return {
        "step": statistics.median(steps) / chunk,
        "token": statistics.median(passes) / (windows.shape[0] * shape.context),
    }


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    json.dump([measure(request) for request in json.load(sys.stdin)], sys.stdout)
