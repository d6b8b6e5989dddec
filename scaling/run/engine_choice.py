"""The choice of an engine for ``execution.engine = auto``."""

from __future__ import annotations

from dataclasses import replace

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.flops import flops_per_token
from scalinglab.scaling.model.module import Network
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.run.engines import AUTO

# An estimate; no engine of this package has been timed on a GPU. Compiling a shape takes about a
# minute. A prototype of captured steps, which is no part of this package, trained 0.2M parameters
# at 11 million tokens a second and 25M at 1.5 million on one H200 (bf16). If compiled and captured
# steps are as fast, and those that are not compiled take half as long again, the minute comes back
# from 6e14 and from 1e16 FLOPs on.
COMPILED_FROM = 3e15  # FLOPs of a run, between the two


def choose_engine(execution: ExecutionConfig, flops: float, network: Network) -> str:
    """Name of the engine for a run.

    Eager on a CPU; captured on one GPU, compiled first for long runs. The choice is a function of
    the run and its execution, so that all attempts have the same engine.

    Parameters
    ----------
    execution : ExecutionConfig
        How the run is executed.
    flops : float
        Training FLOPs of the whole run.
    network : Network
        The network; some parts can only be trained by eager steps.
    """
    if execution.engine != AUTO:
        return execution.engine
    if execution.device == "cpu" or (isinstance(network, Architecture) and network.alone):
        return "eager"
    # torch.compile chooses kernels by timing, so results may differ between attempts.
    compiled = flops >= COMPILED_FROM and not execution.deterministic
    if execution.processes > 1:
        return "compiled" if compiled else "eager"
    return "captured_compiled" if compiled else "captured"


def with_engine(execution: ExecutionConfig, run: RunSpec) -> ExecutionConfig:
    """The execution with the engine that trains a run."""
    flops = flops_per_token(run.flops) * run.tokens
    return replace(execution, engine=choose_engine(execution, flops, run.architecture))
