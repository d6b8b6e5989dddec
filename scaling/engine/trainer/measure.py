"""Seconds of a training step and of a validation pass, measured here, for a few shapes.

Run as a program in a process of its own, so that a plan need not import torch:

    python -m scalinglab.scaling.engine.trainer.measure < requests.json

It prints a line when it is ready, and for each request one or more: estimates so far, then what
was measured. The caller may stop waiting for a shape, and then has the last estimate.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.extensions.handing_on import load_inherited
from scalinglab.scaling.model.module import network_from_science
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.records.failures import OUT_OF_MEMORY, classify
from scalinglab.scaling.run.engines import ENGINES as DEFINED
from scalinglab.scaling.run.step_options import StepOptions

REPETITIONS = 4  # timed chunks, and timed validation passes
CHUNK = {"cpu": 1, "cuda": 16}  # steps; on a GPU the costs once a chunk would weigh too much in one
ENOUGH = 5.0  # seconds of timing, after which a shape is not repeated
LONG_STEP = 0.1  # seconds; arithmetic dominates such a step, and packs do not share arithmetic


Timing = dict[str, Any]


def measure(
    request: Mapping[str, Any], so_far: Callable[[Timing], None] = lambda timing: None
) -> Timing:
    """Time one shape.

    Parameters
    ----------
    request : dict
        ``model`` (as in the science), ``optimizer`` (a name), ``options`` (the fields of
        ``StepOptions``), ``batch`` of one process, ``micro_batch``, ``engine``, ``device``,
        ``threads``, ``packs`` (numbers of members, ascending). As a run does, it halves the
        micro-batch while memory lacks.
    so_far : callable
        Called with a first guess as soon as there is one, and with each better one; for an engine
        that compiles, the first is what an eager engine takes.

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
            if DEFINED[request["engine"]].compiles:  # whose first step would be a bad guess
                so_far(_measure({**request, "engine": "eager"}, size, so_far=so_far))
                alone = _measure(request, size)
            else:
                alone = _measure(request, size, so_far=so_far)
            break
        except torch.OutOfMemoryError:
            if size == 1:
                raise
        gc.collect()  # an engine's parts hold each other
        size //= 2
    so_far(alone)
    return alone | {"packed": _measure_packs(request, size, alone["step"])}


def _measure_packs(
    request: Mapping[str, Any], micro_batch: int, alone: float
) -> dict[str, dict[str, float]]:
    timings: dict[str, dict[str, float]] = {}
    for members in request["packs"] if alone < LONG_STEP else ():
        try:
            timing = _measure(request, micro_batch, members)
        except Exception as error:
            if classify(error) not in OUT_OF_MEMORY:
                raise
            break
        gc.collect()
        timings[str(members)] = timing
    return timings


def _measure(
    request: Mapping[str, Any],
    micro_batch: int,
    members: int = 1,
    so_far: Callable[[Timing], None] = lambda timing: None,
) -> dict[str, float]:
    architecture = network_from_science(request["model"])
    shape = architecture.shape
    settings = OPTIMIZERS[request["optimizer"]]()
    engine = ENGINES[request["engine"]](
        architecture,
        [Member(0, settings)] * members,
        device=request["device"],
        micro_batch=micro_batch,
        options=StepOptions(**request["options"]),
    )
    chunk = CHUNK[request["device"]]
    size = (chunk, members, request["batch"], shape.context + 1)
    tokens = np.random.default_rng(0).integers(shape.vocab, size=size)
    lr = np.full((chunk, members), 1e-3)
    windows = tokens[0, 0]
    window_tokens = windows.shape[0] * shape.context
    first = _seconds(lambda: engine.train(tokens, lr, torch.Tensor.backward))
    # A forward pass is a third of a step; this first step includes the compilation.
    so_far({"step": first / chunk, "token": first / chunk / window_tokens / 3 / members})
    steps = _timed(lambda: engine.train(tokens, lr, torch.Tensor.backward))
    passes = _timed(lambda: engine.evaluate(windows))
    return {
        "step": statistics.median(steps) / chunk,
        "token": statistics.median(passes) / window_tokens,
    }


def _timed(work: Callable[[], Any]) -> list[float]:
    """Seconds of some repetitions; of fewer where they take long."""
    seconds: list[float] = []
    while len(seconds) < REPETITIONS and sum(seconds) < ENOUGH:
        seconds.append(_seconds(work))
    return seconds


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Answer the requests of the standard input, line by line."""

    def say(kind: str, timing: Timing | None = None) -> None:
        print(json.dumps([kind, timing]), flush=True)

    load_inherited()
    requests = json.load(sys.stdin)
    gc.freeze()  # collections between shapes need not look through all that was imported
    say("ready")
    for request in requests:
        say("measured", measure(request, lambda timing: say("so far", timing)))


if __name__ == "__main__":
    main()
