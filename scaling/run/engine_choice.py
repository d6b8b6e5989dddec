"""The engine of a run where ``execution.engine`` is auto."""

from __future__ import annotations

from dataclasses import replace

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.flops import flops_per_token
from scalinglab.scaling.model.module import Network
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.run.engines import AUTO

# An estimate of whether compiling pays, no measurement of this project: compiling a shape takes
# about a minute; if compiled and captured steps train 0.2M parameters at 11 million tokens a second
# and 25M at 1.5 million (a feasibility study on an H200), and captured steps that are not compiled
# take half as long again, the minute comes back from 6e14 and from 1e16 FLOPs on.
COMPILED_FROM = 3e15  # FLOPs of a run, between the two


def choose_engine(execution: ExecutionConfig, flops: float, network: Network) -> str:
    """Name of the engine for a run.

    On a CPU eager steps; on one GPU captured ones, and those of long runs compiled first. A choice
    is a function of the run and of how it is executed, so that each of its attempts has the same.

    Parameters
    ----------
    execution : ExecutionConfig
        How the run is executed.
    flops : float
        Training FLOPs of the whole run.
    network : Network
        Some parts are trained by eager steps alone.
    """
    if execution.engine != AUTO:
        return execution.engine
    if execution.device == "cpu" or (isinstance(network, Architecture) and network.alone):
        return "eager"
    # What torch.compile chooses by timing it is not the same each time.
    compiled = flops >= COMPILED_FROM and not execution.deterministic
    if execution.processes > 1:
        return "compiled" if compiled else "eager"
    return "captured_compiled" if compiled else "captured"


def with_engine(execution: ExecutionConfig, run: RunSpec) -> ExecutionConfig:
    """The execution with the engine that trains a run."""
    flops = flops_per_token(run.flops) * run.tokens
    return replace(execution, engine=choose_engine(execution, flops, run.architecture))
