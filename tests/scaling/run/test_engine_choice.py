"""What execution.engine = 'auto' means."""

from __future__ import annotations

import pytest

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.run.engine_choice import COMPILED_FROM, choose_engine

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
    assert choose_engine(ExecutionConfig(**named), flops) == expected
