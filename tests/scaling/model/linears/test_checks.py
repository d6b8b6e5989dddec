"""What a matrix cannot be made of is refused by its key."""

from __future__ import annotations

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict

SHAPE = {"depth": 1, "width": 24, "heads": 2, "context": 8}


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"linear": {"name": "low_rank", "rank": 0.3}},
            "rank = 0.3 of the matrix query of 24 x 24",
        ),
        ({"linear": {"name": "monarch", "blocks": 5}}, "does not divide the matrix query"),
        ({"linear": {"name": "monarch", "blocks": 6}}, "allowed are at most 4"),
        ({"linear": "monarch", "init": "lsuv"}, "model.init = 'lsuv' clashes"),
        ({"linear": "monarch", "feed_forward": {"name": "moe"}}, "model.linear.within = 'mixer'"),
        ({"linear": {"name": "dense", "within": "mixer"}}, "changes nothing"),
        ({"linear": "lowrank"}, "model.linear = 'lowrank' is not one of: dense, low_rank, monarch"),
        ({"residual": {"name": "layer_scale", "start": -1}}, "model.residual.start = -1"),
        ({"norm": 3}, "model.norm = 3: expected a group of keys"),
    ],
)
def test_what_does_not_fit_is_refused(keys, sentence):
    with pytest.raises(ConfigError, match=sentence):
        architecture_of(from_dict(ModelConfig, SHAPE | keys, "model"), vocab=7)


def test_a_part_without_keys_is_its_name_in_the_identity():
    """As it was before parts had keys; one that has keys says all of them."""
    for norm in ("layernorm", {"name": "layernorm"}):
        model = from_dict(ModelConfig, SHAPE | {"norm": norm})
        science = architecture_of(model, vocab=7).science()
        assert (model.norm, science["norm"]) == ("layernorm", "layernorm")
    science = architecture_of(from_dict(ModelConfig, SHAPE | {"linear": "low_rank"}), 7).science()
    assert science["linear"] == {"name": "low_rank", "rank": 0.5}
    assert Architecture.from_science(science).science() == science
    older = {k: v for k, v in science.items() if k not in ("linear", "residual")}
    assert Architecture.from_science(older).science() == science | {"linear": "dense"}
