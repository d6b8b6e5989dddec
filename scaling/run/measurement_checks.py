"""Measurements of a person's own are tried before a run that asks for them is planned."""

from __future__ import annotations

import functools
import importlib
import json

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.module import Network, network_from_science
from scalinglab.scaling.run.measurements import MEASUREMENTS

_REHEARSAL = "scalinglab.scaling.engine.steps.measurement_rehearsal"
# Parameters times tokens of a sequence from which on none is tried: a step of training takes about
# five seconds there, for each size of a study.
_MOST = 1e10


def check_measurements(execution: ExecutionConfig, network: Network) -> None:
    """Refuse a measurement that fails, or that gives a column which it does not declare.

    One that is made for a GPU is not tried here.

    Raises
    ------
    ConfigError
        Naming the measurement and the column.
    """
    own = tuple(name for name in execution.measure if not MEASUREMENTS.is_shipped(name))
    if not own or execution.device != "cpu":
        return
    if parameter_counts(network)["n_total"] * network.shape.context <= _MOST:
        texts = tuple(id(MEASUREMENTS[name]) for name in own)  # one that is registered anew is new
        _tried(own, texts, json.dumps(network.science(), sort_keys=True))


@functools.lru_cache(maxsize=256)
def _tried(names: tuple[str, ...], definitions: tuple[int, ...], science: str) -> None:
    """Ask the engine, which is found by name as torch is: once for each network."""
    network = network_from_science(json.loads(science))
    importlib.import_module(_REHEARSAL).rehearse(names, network)
