"""The engines, ways to execute a step; all read each other's checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scalinglab.scaling.fields import one_of
from scalinglab.scaling.registry import Registry

AUTO = "auto"  # chosen by `scalinglab.scaling.run.engine_choice`


@dataclass(frozen=True)
class EngineDefinition:
    """The description of an engine, without torch.

    Attributes
    ----------
    made_by : str
        ``module:class`` of its steps.
    captures : bool
        Whether a step runs as a graph of the GPU.
    compiles : bool
        Whether kernels are chosen by timing, which may differ between attempts.
    """

    made_by: str
    captures: bool = False
    compiles: bool = False


ENGINES: Registry[EngineDefinition] = Registry("execution.engine")
_STEPS = "scalinglab.scaling.engine.steps"
ENGINES.register("eager")(EngineDefinition(f"{_STEPS}.eager:EagerEngine"))
ENGINES.register("compiled")(EngineDefinition(f"{_STEPS}.compiled:CompiledEngine", compiles=True))
ENGINES.register("captured")(EngineDefinition(f"{_STEPS}.captured:CapturedEngine", captures=True))
ENGINES.register("captured_compiled")(
    EngineDefinition(f"{_STEPS}.captured:CapturedCompiledEngine", captures=True, compiles=True)
)


def check_engine(name: str) -> None:
    """Raise `ConfigError` unless a name is an engine's or auto."""
    one_of("execution.engine", name, [AUTO, *ENGINES])


def engine_definition(name: str) -> EngineDefinition | None:
    """The engine of that name; None for auto."""
    return ENGINES.get(name)


def allowed_engines(is_allowed: Callable[[EngineDefinition], bool]) -> str:
    """The allowed names of engines with a property, and auto, for a message."""
    return ", ".join([AUTO, *(name for name, engine in ENGINES.items() if is_allowed(engine))])
