"""It is the formula of its paper, from the values at which it starts."""

from __future__ import annotations

import math

import pytest
import torch

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.norms.dyt import DyT
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict


@pytest.mark.parametrize(("function", "more"), [("tanh", 0), ("erf", 1)])
def test_a_fresh_one_is_the_function_of_half_of_each_number(function, more):
    keys = {"norm": {"name": "dyt", "function": function}}
    shape = {"depth": 2, "width": 24, "heads": 2, "context": 8}
    architecture = architecture_of(from_dict(ModelConfig, shape | keys), vocab=9)
    model = Transformer(architecture)
    model.load_state_dict(dict(initial_weights(architecture, seed=0)))
    x = torch.linspace(-3, 3, 24)
    known = {"tanh": math.tanh, "erf": math.erf}[function]
    expected = torch.tensor([known(0.5 * float(value)) for value in x])
    norms = [module for module in model.modules() if isinstance(module, DyT)]
    assert len(norms) == 5
    for norm in norms:
        with torch.no_grad():
            torch.testing.assert_close(norm(x), expected)
    counts, heads = parameter_counts(architecture), 2 * 2 * 12  # gains of queries and keys
    assert counts["gain"] == 5 * 25 + heads
    assert counts["bias"] == 5 * (24 + more)
