"""A measurement of a person's own, tried on two small steps before a run is planned.

That it gives a column which it does not declare would be found at the first validation of a run,
after the launch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from scalinglab.scaling.engine.network.module import in_words
from scalinglab.scaling.engine.steps.eager import EagerEngine, Member
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.module import Network
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS

_BATCH = 4  # sequences
_LR = 1e-3


def rehearse(names: Sequence[str], network: Network) -> None:
    """Measure a network after a step of training.

    Raises
    ------
    ConfigError
        If a measurement fails, or gives a column that it does not declare.
    """
    engine = EagerEngine(network, [Member(0, OPTIMIZERS["adamw"]())])
    engine.watched = True
    size = (1, 1, _BATCH, network.shape.context + 1)
    tokens = np.random.default_rng(0).integers(network.shape.vocab, size=size)
    engine.train(tokens, np.full((1, 1), _LR), Tensor.backward)
    for name in names:
        try:
            engine.measure([name], tokens[0])
        except ConfigError:
            raise
        except Exception as error:  # whatever the code of somebody else does
            raise ConfigError(
                f"execution.measure = [{name}] fails on a batch of {_BATCH}: {in_words(error)}"
            ) from error
