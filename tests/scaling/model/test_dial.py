"""The model's keys become an architecture, or one sentence that says why not."""

from __future__ import annotations

import dataclasses

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture, NetworkOptions
from scalinglab.scaling.model.dial import architecture_of, divides_evenly, model_shape
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"depth": 3, "aspect": 32, "head_dim": 16}, (3, 96, 6, 384)),
        ({"depth": 3, "width": 64, "head_dim": 16}, (3, 64, 4, 256)),
        ({"depth": 3, "width": 48, "heads": 3, "head_dim": 5}, (3, 48, 3, 192)),
        ({"depth": 1, "aspect": 24, "heads": 2, "mlp_ratio": 2}, (1, 24, 2, 48)),
        ({"depth": 1, "width": 48, "activation": "swiglu"}, (1, 48, 3, 128)),
        ({"depth": 1, "width": 64, "activation": "swiglu", "mlp_ratio": 3}, (1, 64, 4, 128)),
        ({"depth": 1, "width": 64, "activation": "swiglu", "mlp_width": 176}, (1, 64, 4, 176)),
        ({"depth": 1, "width": 64, "activation": "swiglu"}, (1, 64, 4, 168)),  # 170.67
        ({"depth": 1, "width": 128, "activation": "geglu"}, (1, 128, 8, 344)),  # 341.33
        ({"depth": 1, "width": 2, "heads": 1, "activation": "geglu"}, (1, 2, 1, 8)),
    ],
)
def test_the_dial_gives_the_width_and_the_width_the_rest(model, expected):
    shape = model_shape(ModelConfig(**model), vocab=256)
    assert (shape.depth, shape.width, shape.heads, shape.mlp_width) == expected
    assert shape.vocab == 256 and shape.width == shape.heads * shape.head_dim


def test_defaults_are_the_default_architecture():
    architecture = architecture_of(ModelConfig(), vocab=11)
    assert architecture == Architecture(architecture.shape)


def test_every_key_of_the_architecture_can_be_configured():
    options = {f.name for f in dataclasses.fields(Architecture)} - {"shape"}
    assert options <= {f.name for f in dataclasses.fields(ModelConfig)}


def test_what_a_choice_does_not_use_makes_no_other_architecture():
    base = {"base_width": 32, "base_depth": 2, "base_head_dim": 8, "depth_exponent": 0.5}
    plain = architecture_of(ModelConfig(post_fraction=0.5, **base), vocab=11)
    assert plain == architecture_of(ModelConfig(), vocab=11)
    mup = architecture_of(ModelConfig(parametrization="mup", **base), vocab=11)
    assert (mup.base_width, mup.base_head_dim, mup.base_depth, mup.depth_exponent) == (
        32,
        8,
        None,
        1.0,
    )
    completep = architecture_of(ModelConfig(parametrization="completep", **base), vocab=11)
    assert {key: getattr(completep, key) for key in base} == base


ALLOWED = {  # key -> the names that it may have
    f.name: f.metadata["among"] for f in dataclasses.fields(NetworkOptions) if "among" in f.metadata
}
MUP = {"parametrization": "mup", "base_width": 32}
COMPLETEP = {"parametrization": "completep", "base_width": 32, "base_depth": 2}


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            {"norm": "none", "placement": "peri"},
            r"model\.placement = 'peri' clashes with model\.norm = 'none': .*allowed beside it: pre",
        ),
        ({"norm": "none", "embedding_scale": "norm"}, "no norm to place or to scale"),
        ({"norm_scale": "inverse_sqrt_layer", "placement": "post"}, "allowed beside it: pre"),
        ({"placement": "hybrid", "qk_norm": False}, "it normalises queries, keys and values"),
        (
            {"placement": "mix", "post_fraction": 0.25},
            r"model\.post_fraction = 0\.25 of model\.depth = 2 is 0\.5 blocks; allowed .* 1 to 1$",
        ),
        ({"placement": "mix", "post_fraction": 1.0}, "is 2 blocks"),
        ({"tied_head": True, "parametrization": "ntk", "base_width": 32}, "would need two scales"),
        ({"tied_head": True, "init": "lsuv"}, r"model\.init = 'lsuv' clashes"),
        ({"parametrization": "mup"}, "'mup' needs model.base_width, the width at which"),
        ({**COMPLETEP, "base_depth": None}, "'completep' needs model.base_depth"),
        (
            {**COMPLETEP, "placement": "post"},
            "'post' clashes with model.parametrization = 'completep': it scales residual branches "
            "by depth itself, .* allowed beside it: pre, peri, normformer",
        ),
        ({**COMPLETEP, "norm_scale": "inverse_sqrt_layer"}, "clashes"),
        ({**MUP, "init": "lsuv"}, "allowed beside it: normal, small"),
        ({"loops": 2, "init": "lsuv"}, r"clashes with model\.loops = 2: it tells layers apart"),
        ({"loops": 2, **COMPLETEP}, "'completep' clashes with model.loops = 2: .* sp, ntk, mup"),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_what_clashes_is_refused_in_a_sentence(model, sentence):
    with pytest.raises(ConfigError, match=sentence):
        architecture_of(ModelConfig(**model), vocab=11)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            {"post_fraction": 0.5},
            r"model\.post_fraction = 0\.5: model\.placement = 'pre' does not use it; it is used "
            "with mix",
        ),
        ({"base_width": 32}, "'sp' does not use it; it is used with ntk, mup, completep"),
        ({**MUP, "base_depth": 2}, "'mup' does not use it; it is used with completep"),
        ({**MUP, "parametrization": "ntk", "base_head_dim": 8}, "used with mup, completep"),
        ({"depth_exponent": 0.5}, r"model\.depth_exponent = 0\.5: .* used with completep"),
        ({"decay_rule": "sqrt"}, r"model\.decay_rule = sqrt: .* used with ntk, mup, completep"),
    ],
    ids=str,
)
def test_what_a_choice_does_not_use_is_refused_where_it_is_read(model, sentence):
    with pytest.raises(ConfigError, match=sentence):
        from_dict(ModelConfig, model, "model")
    # At its default it says nothing: conf/model/transformer.yaml has every key.
    key = next(reversed(model))
    default = getattr(ModelConfig(), key)
    assert getattr(from_dict(ModelConfig, model | {key: default}, "model"), key) == default


@pytest.mark.parametrize("key", ALLOWED)
def test_a_value_that_does_not_exist_lists_those_that_do(key):
    with pytest.raises(ConfigError, match=rf"model\.{key} = 'plain' is not one of: "):
        architecture_of(ModelConfig(**{key: "plain"}), vocab=11)


@pytest.mark.parametrize(
    "model",
    [{"placement": "mix", "post_fraction": 1 / 3}, {"head_dim": 48}],
    ids=str,
)
def test_what_comes_out_whole_is_what_is_not_refused(model):
    whole = 0
    for depth in range(1, 13):
        config = ModelConfig(depth=depth, aspect=16, **model)
        try:
            architecture_of(config, vocab=11)
            allowed = True
        except ConfigError:
            allowed = False
        assert divides_evenly(config) == allowed
        whole += allowed
    assert 0 < whole < 12


def test_a_ladder_takes_sizes_at_which_a_gated_mlp_is_exactly_two_thirds():
    sizes = [ModelConfig(depth=depth, aspect=16, activation="swiglu") for depth in range(1, 7)]
    assert [divides_evenly(size) for size in sizes] == [False, False, True] * 2
