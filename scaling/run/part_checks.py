"""What is asked of the parts of a network before a run is planned."""

from __future__ import annotations

import importlib

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.run.engines import allowed_engines, engine_definition

_AGREEMENT = "scalinglab.scaling.engine.network.agreement"


def check_engine_of_parts(architecture: Architecture, engine: str) -> None:
    """Refuse an engine whose steps are of one size where a part's are not.

    Raises
    ------
    ConfigError
        Naming the engine, the part and what is allowed.
    """
    definition = engine_definition(engine)
    if (
        architecture.alone
        and definition is not None
        and (definition.captures or definition.compiles)
    ):
        allowed = allowed_engines(lambda one: not (one.captures or one.compiles))
        raise ConfigError(
            f"execution.engine = {engine!r} clashes with {architecture.alone}, and its steps are of "
            f"one size; allowed are {allowed}"
        )


def check_parts(architecture: Architecture) -> None:
    """Build a network with parts that are not shipped, and refuse what is not as it was said.

    Raises
    ------
    ConfigError
        Naming the parts and the first tensor.
    """
    own = [part for part in architecture.parts if not part.choices.is_shipped(part.name)]
    if not own:
        return
    if wrong := importlib.import_module(_AGREEMENT).disagreement(architecture):
        names = ", ".join(f"model.{part.slot}.name = {part.name!r}" for part in own)
        raise ConfigError(f"{names}: {wrong}; both must be the same, in one order")
