"""Lightning without two packages that it imports and we do not use there.

torchmetrics brings transformers, scipy.signal and matplotlib with it: Lightning needs two of its
classes, to recognize metrics that a module logs, and our module logs none. `torch._dynamo` is the
compiler of torch, with sympy and all of FSDP: Lightning needs one class of it, to recognize a
compiled module, and ours is none (engines compile what they hold themselves, with the real one).
Both together took twice as long as torch does. In a notebook, or a program that imports this
package, modules of others may log metrics and be compiled: there nothing is replaced.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TypeVar

from scalinglab.scaling.training.child import OURS

METRICS = "torchmetrics"
COMPILER = "torch._dynamo"
Function = TypeVar("Function")


class Metric:
    """The class to which no value of ours belongs."""


class MetricCollection:
    """As `Metric`, of several."""


class OptimizedModule:
    """The class to which no module that we give Lightning belongs."""


def disable(
    function: Function | None = None, recursive: bool = True, *, reason: str | None = None
) -> Function | Callable[[Function], Function]:
    """Of what is never compiled: the function itself, as a decorator with or without options."""
    return (lambda given: given) if function is None else function


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """Within it, imports of the two packages get modules of the names above alone.

    Afterwards the names are free again: what imports or compiles gets the real ones. A package that
    was imported before is left, and nothing is replaced where the process is not one of ours.
    """
    added = []
    if OURS in os.environ:
        added = [module for module in _modules() if module.__name__ not in sys.modules]
    sys.modules.update((module.__name__, module) for module in added)
    try:
        yield
    finally:
        for module in added:
            sys.modules.pop(module.__name__, None)


def _modules() -> Iterator[ModuleType]:
    version = importlib.metadata.version(METRICS)
    names = {"Metric": Metric, "MetricCollection": MetricCollection, "__version__": version}
    for package, held in (
        (METRICS, names),
        (COMPILER, {"OptimizedModule": OptimizedModule, "disable": disable}),
    ):
        module = ModuleType(package)
        module.__spec__ = ModuleSpec(package, None)  # Lightning asks whether it is there
        vars(module).update(held)
        yield module
