"""What shared keys and windows count, and what they are refused beside."""

from __future__ import annotations

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.counts import parameter_counts
from scalinglab.scaling.model.dial import architecture_of
from scalinglab.scaling.model.flops import flop_parts
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.read_options import from_dict


def network(options=(), **model):
    keys = {"depth": 3, "width": 48, "heads": 6, "context": 16, "mixer": dict(options), **model}
    return architecture_of(from_dict(ModelConfig, keys), vocab=10)


@pytest.mark.parametrize(("shared", "key_heads"), [(1, 6), (2, 3), (3, 2), (6, 1), (None, 1)])
def test_keys_and_values_of_fewer_heads_have_fewer_rows(shared, key_heads):
    counts = parameter_counts(network({"queries_per_key": shared}))
    assert counts["attention"] == 3 * 48 * (2 * 48 + 2 * key_heads * 8)
    assert counts["n_active"] == counts["n_matmul"]


def test_keys_that_a_window_hides_cost_nothing():
    """Within half a key of those counted one by one, as half of the whole map is."""
    whole, near = (flop_parts(network({"window": w})) for w in (None, 4))
    seen = sum(min(t, 4) for t in range(1, 17))
    assert abs(near["attention_causal"] / (3 * 12 * 48) - seen / 16) < 0.5
    assert near["attention_full"] == whole["attention_full"] == 2 * whole["attention_causal"]


@pytest.mark.parametrize(
    ("options", "model", "message"),
    [
        (
            {"queries_per_key": 4},
            {},
            "queries_per_key = 4 does not divide the 6 heads; allowed are 1",
        ),
        ({"window": 16}, {}, "window = 16 of model.context = 16 hides nothing"),
        ({"queries_per_key": 2}, {"init": "mimetic"}, "'mimetic' clashes with model.mixer.queries"),
        ({"within_documents": True}, {"init": "lsuv"}, "'lsuv' clashes with model.mixer, which"),
        ({"positions": "alibbi"}, {}, "did you mean 'alibi'"),
    ],
)
def test_what_does_not_go_together_is_refused(options, model, message):
    with pytest.raises(ConfigError) as said:
        network(options, **model)
    assert message in str(said.value)


def test_options_at_their_historic_values_are_left_out_of_the_science():
    assert network().science()["mixer"] == {"name": "attention"}
    windowed = network({"window": 4})
    assert windowed.science()["mixer"] == {"name": "attention", "window": 4}
    assert type(windowed).from_science(windowed.science()) == windowed


def test_masks_within_documents_are_kept_of_a_sequence_and_with_slopes_of_each_head():
    """A byte a pair of tokens, or a float: without documents all sequences share one."""
    kept = {
        positions: (whole.mixer.kept_floats(whole), bounded.mixer.kept_floats(bounded))
        for positions in ("rotary", "alibi")
        for whole, bounded in [
            [network({"positions": positions, "within_documents": w}) for w in (False, True)]
        ]
    }
    assert kept == {"rotary": (0, 16 / 4), "alibi": (0, 6 * 16)}
