"""Checks of the parts of a network, before a run is planned."""

from __future__ import annotations

import importlib

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.run.engines import allowed_engines, engine_definition

_AGREEMENT = "scalinglab.scaling.engine.network.agreement"


def check_engine_of_parts(architecture: Architecture, engine: str) -> None:
    """Refuse an engine whose steps have fixed shapes for a part whose shapes depend on data.

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
        allowed = allowed_engines(lambda choice: not (choice.captures or choice.compiles))
        raise ConfigError(
            f"execution.engine = {engine!r} clashes with {architecture.alone}, and its steps are "
            f"of one size; allowed are {allowed}"
        )


def check_parts(architecture: Architecture) -> None:
    """Build a network with a person's own parts, and compare its tensors with the description.

    Raises
    ------
    ConfigError
        Naming the parts and the first tensor.
    """
    own_parts = [part for part in architecture.parts if not part.choices.is_shipped(part.name)]
    if not own_parts:
        return
    if wrong := importlib.import_module(_AGREEMENT).disagreement(architecture):
        names = ", ".join(f"model.{part.slot}.name = {part.name!r}" for part in own_parts)
        raise ConfigError(f"{names}: {wrong}; both must be the same, in one order")
