"""What execution.engine = 'auto' means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.feed_forwards.moe import MoE
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.run.engine_choice import COMPILED_FROM, choose_engine

NETWORK = Architecture(Shape(depth=1, width=16, heads=2, mlp_width=64, context=16, vocab=8))
SHORT, LONG = COMPILED_FROM / 2, COMPILED_FROM * 2


@pytest.mark.parametrize(
    ("named", "flops", "expected"),
    [
        ({}, LONG, "eager"),
        ({"device": "cuda"}, SHORT, "captured"),
        ({"device": "cuda"}, LONG, "captured_compiled"),
        ({"device": "cuda", "deterministic": True}, LONG, "captured"),
        ({"device": "cuda", "processes": 2}, SHORT, "eager"),
        ({"device": "cuda", "processes": 2}, LONG, "compiled"),
        ({"device": "cuda", "processes": 2, "deterministic": True}, LONG, "eager"),
        ({"device": "cuda", "engine": "eager"}, LONG, "eager"),
    ],
)
def test_the_engine_fits_device_length_and_exactness(named, flops, expected):
    assert choose_engine(ExecutionConfig(**named), flops, NETWORK) == expected


def test_parts_whose_sizes_follow_from_the_tokens_step_eagerly():
    dropless = replace(NETWORK, feed_forward=MoE(capacity=None, dispatch="sorted"))
    assert choose_engine(ExecutionConfig(device="cuda"), LONG, dropless) == "eager"
