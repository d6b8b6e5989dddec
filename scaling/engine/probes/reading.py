"""The input of a probe's arithmetic: checkpoints as models, and the data to evaluate them on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data.mixed import Store, open_planned, order_of, own_sets
from scalinglab.scaling.data.validation import further_stores
from scalinglab.scaling.engine.probes.model import Model, Weights, weights_at
from scalinglab.scaling.records.curve import bits_per_byte
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.registry import Registry, function


class AtMost(float):
    """An upper bound: the true number is no larger."""


class AtLeast(float):
    """A lower bound: the true number is no smaller."""


class Stopped(Exception):
    """A probe was asked to stop in the middle of its work."""


@dataclass(frozen=True)
class Reading:
    """The checkpoints that a probe reads, with their run and its data.

    Attributes
    ----------
    outputs : Path
        The folder of all runs.
    spec : RunSpec
        The run beside which the numbers are stored.
    step : int
        The step to which they belong.
    places : sequence of (RunSpec, int)
        The checkpoints that are read, as ``Probe.reads`` chose them.
    execution : ExecutionConfig
    part : int
        Sequences at once in passes that take much memory.
    should_stop : callable
        Whether to stop.
    """

    outputs: Path
    spec: RunSpec
    step: int
    places: Sequence[tuple[RunSpec, int]]
    execution: ExecutionConfig
    part: int
    should_stop: Callable[[], bool] = field(default=lambda: False)

    def go_on(self) -> None:
        """Raise `Stopped` if the process was asked to end; called between parts of long work."""
        if self.should_stop():
            raise Stopped

    def weights(self, place: int = -1) -> Weights:
        """The weights of a checkpoint by name; by default of the last."""
        spec, step = self.places[place]
        self.go_on()
        return weights_at(self.outputs, spec, step)

    def initial(self) -> Weights:
        """The weights that the run began with."""
        return weights_at(self.outputs, self.spec, 0)

    def model(self, place: int = -1) -> Model:
        """A checkpoint as a model; by default the last."""
        return Model(self.places[place][0], self.weights(place), self.execution, self.part)

    def model_of(self, weights: Weights) -> Model:
        """The run's network with other weights."""
        return Model(self.spec, weights, self.execution, self.part)

    @cached_property
    def store(self) -> Store:
        """The data that the run was trained on."""
        return open_planned(self.spec, self.outputs)

    def windows(self, store: str | None = None, tokens: int | None = None) -> np.ndarray:
        """Fixed validation windows: of the run's own data, or of a store by its name.

        As many tokens as the run validates on, unless others are asked for; of each of its pools.
        """
        count, context = tokens or self.spec.data.validation_tokens, self.spec.shape.context
        return np.concatenate(list(own_sets(self.store_of(store, count), count, context).values()))

    def halves(self, most: int) -> np.ndarray:
        """Validation windows, `most` at most, of which each half has windows of every pool."""
        pools = len(self.spec.data.pools) or 1
        return by_turns(self.windows(), pools)[:most]

    def loss(self, model: Model) -> float:
        """Loss on the run's own validation set, as training measures it: of pools the mean."""
        tokens, context = self.spec.data.validation_tokens, self.spec.shape.context
        own = own_sets(self.store, tokens, context).values()
        return sum(model.loss(windows) for windows in own) / len(own)

    def store_of(self, name: str | None, tokens: int) -> Store:
        """A store by its name; None is the run's own."""
        if name is None:
            return self.store
        vocab, context = self.store.manifest.vocab, self.spec.shape.context
        return further_stores([name], self.outputs, vocab, tokens, context)[name]

    def next_batch(self) -> np.ndarray:
        """The sequences, with their targets, of the update after the step, (batch, context + 1)."""
        store, batch, context = self.store, self.spec.batch, self.spec.shape.context
        order: Any = order_of(self.spec, store)  # of the store's own kind
        return store.training_batches([order], self.step, 1, batch, context)[0, 0]

    def losses(self, loss: float, store: Store | None = None) -> dict[str, float]:
        """A loss in nats per token, also in bits per byte."""
        per_token = (store or self.store).manifest.bytes_per_token
        return {"loss": loss, "bpb": bits_per_byte(loss, per_token)}


def by_turns(windows: np.ndarray, pools: int) -> np.ndarray:
    """Windows sorted by pool -> one of each pool in turn."""
    return windows.reshape(pools, -1, windows.shape[1]).swapaxes(0, 1).reshape(windows.shape)


# Probe -> its arithmetic; each is described in ``scalinglab.scaling.probes.kinds`` under its name.
Reads = Callable[[Any, Reading], Mapping[str, float]]
PROBED_BY: Registry[Reads] = Registry("probe", f"{__package__}.kinds")
PROBED_BY.wants(function)
