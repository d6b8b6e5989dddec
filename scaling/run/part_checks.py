"""What is asked of parts of a person's own before a run is planned."""

from __future__ import annotations

import importlib

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture

_AGREEMENT = "scalinglab.scaling.engine.network.agreement"


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
