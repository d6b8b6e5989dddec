"""The axes of runs just beyond a study."""

from __future__ import annotations

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.study.beyond import axes_beyond


def test_one_step_in_width_and_in_tokens(study) -> None:
    assert axes_beyond(study()) == {
        "model": {"width": [8, 16, 24]},
        "tokens": [2560, 5120, 10240],
        "seed": [0],
    }


def test_widths_that_follow_depths_have_no_step(study) -> None:
    composed = study("+study.blocks.ladder.grid.model.depth=[1,2]", "model.aspect=8")
    del composed["study"]["blocks"]["ladder"]["grid"]["model"]["width"]
    with pytest.raises(ConfigError, match="widths follow its depths"):
        axes_beyond(composed)
