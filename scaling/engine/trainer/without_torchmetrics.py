"""Lightning without torchmetrics, which brings transformers, scipy.signal and matplotlib with it.

Lightning needs two classes of torchmetrics, to recognize metrics that a module logs. Our module
logs none. torchmetrics took about a third of the time in which a worker starts. In a notebook, or a
program that imports this package, modules of others may log metrics: there nothing is replaced.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType

from scalinglab.scaling.training.child import OURS

NAME = "torchmetrics"


class Metric:
    """The class to which no value of ours belongs."""


class MetricCollection:
    """As `Metric`, of several."""


@contextlib.contextmanager
def without_torchmetrics() -> Iterator[None]:
    """Within it, imports of torchmetrics get a module of those two classes alone.

    Afterwards the name is free again: code of a user that imports torchmetrics gets the real one.
    Where it was imported before, or the process is not one of ours, nothing is replaced.
    """
    if NAME in sys.modules or OURS not in os.environ:
        yield
        return
    module = ModuleType(NAME)
    module.__spec__ = ModuleSpec(NAME, None)  # Lightning asks whether the package is there
    vars(module).update(
        __version__=importlib.metadata.version(NAME),
        Metric=Metric,
        MetricCollection=MetricCollection,
    )
    sys.modules[NAME] = module
    try:
        yield
    finally:
        sys.modules.pop(NAME, None)
