"""A plain dictionary becomes typed values strictly; a mistake names the key and what is allowed."""

import math

import pytest

from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import one_of
from scalinglab.scaling.optimizers.optimizer import OptimizerConfig
from scalinglab.scaling.read_options import from_dict


def test_values_become_typed(tiny_values):
    config = from_dict(RunConfig, tiny_values({"optimizer.clip": 2}))
    assert config.model.width == 16
    assert config.rule is None
    assert config.data.options["vocab"] == 8
    assert type(config.optimizer.clip) is float


@pytest.mark.parametrize("whole", [1e6])
def test_whole_floats_are_accepted_for_integers(tiny_values, whole):
    config = from_dict(RunConfig, tiny_values({"tokens": whole}))
    assert config.tokens == 1_000_000 and type(config.tokens) is int


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model.widht": 64},
            r"unknown key 'model\.widht'; did you mean 'model\.width'\? Allowed here: activ",
        ),
        ({"zzz": 1}, r"unknown key 'zzz'\. Allowed here: batch, data, execution, init_from, model"),
        ({"tokens": 1.5}, r"tokens = 1\.5: expected a whole number"),
        ({"tokens": "1000"}, r"tokens = '1000': expected a whole number"),
        ({"tokens": None}, r"tokens = None: expected a whole number"),
        ({"batch": True}, r"batch = True: expected a whole number"),
        ({"optimizer.clip": "big"}, r"optimizer\.clip = 'big': expected a number"),
        ({"optimizer.clip": False}, r"optimizer\.clip = False: expected a number"),
        ({"precision": 32}, r"precision = 32: expected a string"),
        ({"model": 3}, r"model = 3: expected a group of keys"),
        ({"data.options": [1]}, r"data\.options = \[1\]: expected a group of keys"),
        ({"rule": {"name": "x"}}, r"missing key 'rule\.lr\.source'"),
    ],
    ids=str,
)
def test_mistakes_name_the_key_and_what_is_allowed(tiny_values, changes, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(RunConfig, tiny_values(changes))


def test_a_missing_key_is_named(tiny_values):
    values = tiny_values()
    del values["tokens"]
    with pytest.raises(ConfigError, match="missing key 'tokens'"):
        from_dict(RunConfig, values)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    ("cls", "key"), [(OptimizerConfig, "weight_decay"), (DataConfig, "max_epochs")]
)
def test_only_finite_numbers_are_values(cls, key, value):
    """NaN passes every comparison that would refuse it: max_epochs = nan allows any number."""
    with pytest.raises(ConfigError, match=key):
        from_dict(cls, {key: value})


def test_one_of_lists_the_choices():
    one_of("launch", "local", ["local", "inline"])
    with pytest.raises(ConfigError, match=r"launch = 'lcal' is not one of: local, inline"):
        one_of("launch", "lcal", ["local", "inline"])


@pytest.mark.parametrize("hint", ["tokens", "z_loss", "precision"])
def test_a_number_of_hundreds_of_digits_is_refused_as_infinity_is(tiny_values, hint) -> None:
    with pytest.raises(ConfigError, match=f"{hint} = inf: expected a finite number"):
        from_dict(RunConfig, tiny_values({hint: int("9" * 400)}))
