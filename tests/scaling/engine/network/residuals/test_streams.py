"""A residual of one's own may keep several streams, of which branches read a mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from scalinglab.scaling.engine.network.agreement import disagreement
from scalinglab.scaling.engine.network.part import ADDED_BY, Stream
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.model.part import RESIDUALS, Residual, Start
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.run.step_options import StepOptions

SMALL = {"depth": 2, "width": 24, "heads": 2, "context": 12}
ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)


@dataclass(frozen=True, kw_only=True)
class Streams(Residual):
    name: str = "streams"
    count: int = setting(3, AT_LEAST_1)

    def tensors(self, architecture):
        return {"read_gain": Start((self.count,), 1 / self.count), "write_gain": (self.count,)}


class Several(Stream):
    def __init__(self, architecture, layer):
        super().__init__(architecture, layer)
        self.count = architecture.residual_part.count
        self.read_gain = nn.Parameter(torch.ones(self.count))
        self.write_gain = nn.Parameter(torch.ones(self.count))

    def begin(self, x):
        return x[..., None, :].expand(*x.shape[:-1], self.count, x.shape[-1])

    def read(self, stream):
        return (stream * self.read_gain[:, None]).sum(-2)

    def forward(self, stream, branch):
        return stream + branch[..., None, :] * self.write_gain[:, None]

    def end(self, stream):
        return stream.mean(-2)


@pytest.fixture(autouse=True)
def registered():
    RESIDUALS.register("streams", __name__)(Streams)
    ADDED_BY.register("streams", __name__)(Several)
    yield
    del RESIDUALS["streams"], ADDED_BY["streams"]


def network(**residual):
    keys = {"residual": {"name": "streams", **residual}} if residual else {}
    return architecture_of(from_dict(ModelConfig, SMALL | keys), vocab=14)


def losses(architecture, members, tokens, **options) -> np.ndarray:
    engine = EagerEngine(architecture, members, options=StepOptions(**options))
    return engine.train(tokens, np.full(tokens.shape[:2], 0.003), torch.Tensor.backward).loss


def test_equal_streams_are_one_and_train_in_packs_and_with_blocks_computed_again():
    several = network(count=3)
    assert disagreement(several) == ""
    counts, plain = parameter_counts(several), parameter_counts(network())
    assert counts["n_total"] - plain["n_total"] == counts["gain"] - plain["gain"] == 4 * 6
    assert Transformer(several)(torch.zeros(1, 5, dtype=torch.long)).shape == (1, 5, 14)
    tokens = np.random.default_rng(0).integers(14, size=(4, 2, 4, 13))
    members = [Member(seed, ADAMW) for seed in (0, 1)]
    packed = losses(several, members, tokens)
    alone = losses(several, members[1:], tokens[:, 1:])
    np.testing.assert_allclose(packed[:, 1], alone[:, 0], rtol=2e-5)
    again = losses(several, members[1:], tokens[:, 1:], recompute=True)
    np.testing.assert_array_equal(again, alone)
    first = losses(network(), members[1:], tokens[:1, 1:])  # before any gain has moved
    np.testing.assert_allclose(alone[:1], first, rtol=2e-5)
