"""Step times of some shapes, measured in a process of its own and within a time limit.

A plan must not take minutes: a shape that takes longer to time, or to compile, is estimated from
its first measurements, or from the other shapes.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extras import missing_package
from scalinglab.scaling.model.flops import flop_parts, flops_per_token
from scalinglab.scaling.model.module import network_from_science
from scalinglab.scaling.training.child import child_environment, python_command

SHAPE_SECONDS = 30.0  # limit for one shape, compiling included
START_SECONDS = 300.0  # limit for the first answer: torch may be imported from a slow disk
# Assumed FLOP/s of one CPU core and of one GPU, where no shape could be timed.
RATES = {"cpu": 2e10, "cuda": 2e13}
_LACKING = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")

Timing = dict[str, Any]


class CannotMeasure(ConfigError):
    """Shapes could not be timed: says why, and what else there is."""


def measure_here(requests: Sequence[dict[str, Any]]) -> list[Timing]:
    """Time some shapes (``scalinglab.scaling.engine.trainer.measure``).

    Where the time limit allows no measurement, the timing is an estimate and says so: its
    ``estimated`` is true.

    Raises
    ------
    CannotMeasure
        If the process fails; with the last line of its errors.
    """
    timings: list[Timing | None] = []
    guesses: dict[int, Timing] = {}
    while len(timings) < len(requests):
        measured, guess = _measured(requests[len(timings) :])
        timings += measured
        if len(timings) < len(requests):  # the next shape takes too long
            if guess is not None:
                guesses[len(timings)] = guess
            timings.append(None)
    rates = [
        _flops(request) / timing["step"]
        for request, timing in zip(requests, timings, strict=True)
        if timing is not None
    ]
    return [
        _estimated(request, guesses.get(i), max(rates, default=None)) if timing is None else timing
        for i, (request, timing) in enumerate(zip(requests, timings, strict=True))
    ]


def _measured(requests: Sequence[dict[str, Any]]) -> tuple[list[Timing], Timing | None]:
    """Timings up to the first shape that takes too long, and a first guess for that one."""
    process = subprocess.Popen(
        python_command("scalinglab.scaling.engine.trainer.measure"),
        text=True,
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    stdin, stdout, stderr = process.stdin, process.stdout, process.stderr
    assert stdin is not None and stdout is not None and stderr is not None  # pipes
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    errors: list[str] = []
    readers = [
        threading.Thread(target=_pass_on, args=(stdout, lines), daemon=True),
        threading.Thread(target=lambda: errors.extend(stderr), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        with stdin:
            json.dump(list(requests), stdin)
        return _read_timings(lines, len(requests))
    except (EOFError, BrokenPipeError):
        process.wait()
        readers[1].join()
        raise CannotMeasure(_failure("".join(errors))) from None
    finally:
        process.kill()
        process.wait()
        for reader, stream in zip(readers, (stdout, stderr), strict=True):
            reader.join()
            stream.close()


def _failure(errors: str) -> str:
    """What the process died of, by its standard error: a package of an extra, or its last line."""
    *_, last = errors.strip().splitlines() or ["no message"]
    if lacking := _LACKING.fullmatch(last):
        package = missing_package(ModuleNotFoundError(last, name=lacking[1]))
        if package is not None:
            return f"measuring the step time needs {package}"
    return f"measuring the step time failed: {last}"


def _read_timings(lines: queue.SimpleQueue[str], count: int) -> tuple[list[Timing], Timing | None]:
    """The timings that the process reports, until it takes too long for one shape."""
    timings: list[Timing] = []
    guess, deadline = None, time.monotonic() + START_SECONDS
    while len(timings) < count:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return timings, guess
        if not line:
            raise EOFError
        kind, timing = json.loads(line)
        if kind == "so far":
            guess = timing
            continue
        if kind == "measured":
            timings.append(timing)
        guess, deadline = None, time.monotonic() + SHAPE_SECONDS
    return timings, None


def _pass_on(stream: Any, lines: queue.SimpleQueue[str]) -> None:
    """Each line as it comes, and an empty one at the end."""
    for line in stream:
        lines.put(line)
    lines.put("")


def _estimated(request: dict[str, Any], guess: Timing | None, rate: float | None) -> Timing:
    """A timing from the first guess for a shape, else from the FLOP/s of other shapes."""
    if guess is None:
        usual_rate = RATES[request["device"]] * (
            request["threads"] if request["device"] == "cpu" else 1
        )
        seconds = _flops(request) / (rate or usual_rate)
        tokens = request["batch"] * request["model"]["context"]
        guess = {"step": seconds, "token": seconds / tokens / 3}  # a forward pass of three
    return guess | {"packed": {}, "estimated": True}


def _flops(request: dict[str, Any]) -> float:
    """Training FLOPs of a step."""
    architecture = network_from_science(request["model"])
    tokens = request["batch"] * architecture.shape.context
    return float(flops_per_token(flop_parts(architecture)) * tokens)
