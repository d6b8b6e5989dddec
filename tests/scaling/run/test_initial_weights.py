"""Tensors become parameters by their names; what does not fit is named with both sizes."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import save_file

from scalinglab.scaling.config import InitFromConfig
from scalinglab.scaling.engine.export.form import FORMS
from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.records.initial_weights import InitialWeights
from scalinglab.scaling.run.initial_weights import WeightFiles, match, matched, sizes_of

HERE = {"embedding.weight": (8, 4), "blocks.0.up.weight": (4, 16), "head.weight": (8, 4)}


def test_equal_names_match_and_the_rest_is_told():
    there = {"embedding.weight": (8, 4), "other": (3,)}
    result = match(there, HERE, {}, "it")
    assert result.pairs == {"embedding.weight": "embedding.weight"}
    assert result.left == ("blocks.0.up.weight", "head.weight") and result.unused == ("other",)


def test_a_buffer_may_be_missing_and_must_fit():
    here = HERE | {"level": (4,)}
    result = match({"head.weight": (8, 4)}, here, {}, "it", buffers=("level",))
    assert "level" not in result.left
    with pytest.raises(ConfigError, match="level is 5 there and 4 here"):
        match({"head.weight": (8, 4), "level": (5,)}, here, {}, "it", buffers=("level",))


def test_names_are_exchanged_by_name_or_regular_expression():
    there = {"wte": (8, 4), "h.0.fc": (4, 16), "head.weight": (9, 4)}
    names = {
        "wte": "embedding.weight",
        r"h\.(\d+)\.fc": r"blocks.\1.up.weight",
        "head.weight": "",
    }
    result = match(there, HERE, names, "it")
    assert result.pairs == {"embedding.weight": "wte", "blocks.0.up.weight": "h.0.fc"}
    assert result.left == ("head.weight",) and result.unused == ("head.weight",)


@pytest.mark.parametrize(
    ("there", "names", "message"),
    [
        ({"head.weight": (9, 4)}, {}, "head.weight is 9 x 4 there and 8 x 4 here"),
        ({"a": (8, 4)}, {}, "no tensor of it has the name of a parameter"),
        (
            {"head.weight": (8, 4), "x": (8, 4)},
            {"x": "head.weight"},
            "makes two tensors of it, head.weight and x, the parameter head.weight",
        ),
        (
            {"head.weight": (8, 4)},
            {"hed.*": "x"},
            "'hed.*' matches no tensor of it; there are head",
        ),
        ({"head.weight": (8, 4)}, {"head(": "x"}, "'x' is no regular expression"),
        ({"head.weight": (8, 4)}, {"head.*": r"\2"}, "is no regular expression"),
    ],
)
def test_what_cannot_match_is_refused(there, names, message, monkeypatch):
    monkeypatch.setattr("scalinglab.scaling.run.initial_weights.sizes_of", lambda network: HERE)
    weights = InitialWeights("hash", {}, "it")
    with pytest.raises(ConfigError) as refused:
        matched(weights, InitFromConfig(names=names), there, None)
    assert message in str(refused.value)


def test_names_mean_the_same_in_any_order(monkeypatch):
    """An identity has no order, and what a person names goes before what is usual."""
    monkeypatch.setattr("scalinglab.scaling.run.initial_weights.sizes_of", lambda network: HERE)
    there = {"head.weight": (8, 4), "embedding.weight": (8, 4)}
    weights = InitialWeights("hash", {"head.*": "head.weight"}, "it")
    first = matched(weights, InitFromConfig(names={"he.*": "", "h.*": "head.weight"}), there, None)
    other = matched(weights, InitFromConfig(names={"h.*": "head.weight", "he.*": ""}), there, None)
    assert (first.left, other.left) == (
        ("blocks.0.up.weight", "head.weight"),
        ("blocks.0.up.weight",),
    )
    assert first.science() != other.science()
    backwards = dict(reversed(first.names.items()))
    assert match(there, HERE, backwards, "it") == match(there, HERE, first.names, "it")
    same = matched(weights, InitFromConfig(names={"head.*": ""}), there, None)
    assert same.unused == ("head.weight",)


@pytest.mark.parametrize("form", ["llama", "qwen3"])
def test_a_model_of_transformers_needs_no_names(tmp_path, form):
    shape = Shape(depth=2, width=16, heads=2, mlp_width=32, vocab=8, context=16)
    network = Architecture(shape, activation="swiglu", qk_norm=form == "qwen3")
    tensors = FORMS[form].tensors(network, dict(initial_weights(network, 0)))
    save_file({n: t.contiguous() for n, t in tensors.items()}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": form}))
    (tmp_path / "outputs").mkdir()
    weights = WeightFiles(tmp_path / "outputs").of(InitFromConfig(file=str(tmp_path)), network)
    assert weights.matched == len(sizes_of(network)) and not weights.left and not weights.unused
    assert weights.place(tmp_path / "outputs") is not None
