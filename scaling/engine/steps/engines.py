"""The engines by name; each is imported when it is built."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from scalinglab.scaling.engine.steps.engine import Engine
from scalinglab.scaling.run.engines import ENGINES as DEFINED


def _builder(made_by: str) -> Callable[..., Engine]:
    """The constructor of an engine, whose file is imported on its first call."""
    module, _, name = made_by.partition(":")

    def build(*arguments: Any, **options: Any) -> Engine:
        engine: Engine = getattr(importlib.import_module(module), name)(*arguments, **options)
        return engine

    return build


ENGINES: Mapping[str, Callable[..., Engine]] = {
    name: _builder(engine.made_by) for name, engine in DEFINED.items()
}
