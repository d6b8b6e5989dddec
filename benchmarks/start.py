"""Seconds from the launch of a process to its first step, and to that of a second model in it.

    python benchmarks/start.py                                  # eager and compiled, on this CPU
    python benchmarks/start.py --device cuda                    # and captured ones

A process loads its libraries, builds an engine, and runs steps; then it repeats this for a second
width, as a worker does for the next rung. The first process of an engine starts with an empty cache
of the compiler, the second with the cache of the first.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection

import torch
from loops import Setting, device, engine_of, train, transformer

from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.records import machine

Start = tuple[float, float, float]  # seconds to build an engine, of its first step and of its next


def main(words: list[str] | None = None) -> None:
    """Measure and print a line for each engine, cache and width."""
    options = arguments(words)
    settings = [
        Setting(transformer(options.depth, width, 32, 128, 256), 16, options.device)
        for width in options.widths
    ]
    print(machine.device_name(options.device) or machine.processor())
    print(
        f"{'engine':18s}{'cache':7s}{'width':>6s}{'libraries':>11s}{'engine':>8s}"
        f"{'first step':>12s}{'second':>8s}{'launch to first step':>22s}"
    )
    for engine in options.engines:
        with tempfile.TemporaryDirectory() as cache:
            for state in ("empty", "filled"):
                libraries, starts = launched(engine, settings, cache)
                for width, (built, first, second) in zip(options.widths, starts, strict=True):
                    print(
                        f"{engine:18s}{state:7s}{width:6d}{libraries:9.1f} s{built:6.2f} s"
                        f"{first:10.2f} s{second:6.2f} s{libraries + built + first:20.1f} s",
                        flush=True,
                    )
                    libraries = 0.0  # the next width finds them loaded


def arguments(words: list[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", type=device)
    parser.add_argument("--engines", nargs="+", choices=list(ENGINES))
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--depth", type=int, default=2)
    options = parser.parse_args(words)
    if options.engines is None:
        options.engines = [e for e in ENGINES if "captured" not in e or options.device != "cpu"]
    return options


def launched(engine: str, settings: Sequence[Setting], cache: str) -> tuple[float, Sequence[Start]]:
    """Start a process; seconds until its libraries are loaded, and its measurements."""
    context = multiprocessing.get_context("spawn")
    here, child_end = context.Pipe()
    process = context.Process(target=first_steps, args=(child_end, engine, settings, cache))
    launch = time.monotonic()
    process.start()
    child_end.close()
    loaded, starts = here.recv()
    process.join()
    return loaded - launch, starts


def first_steps(pipe: Connection, engine: str, settings: Sequence[Setting], cache: str) -> None:
    """The measured process: the time when libraries were loaded, then the starts of engines."""
    importlib.import_module(
        "scalinglab.scaling.engine.trainer.trainer"
    )  # Lightning is imported too
    loaded = time.monotonic()  # one clock for all processes
    warnings.filterwarnings("ignore")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
    torch.set_num_threads(1)
    pipe.send((loaded, [start(engine, setting) for setting in settings]))


def start(engine: str, setting: Setting) -> Start:
    """Seconds to build an engine, of its first step and of its next."""
    at = time.perf_counter()
    built = engine_of(engine, setting)
    seconds = time.perf_counter() - at
    tokens = setting.tokens(1)
    return seconds, train(built, tokens)[0], train(built, tokens)[0]


if __name__ == "__main__":
    main()
