"""Each optimizer's keys: what it uses is determined, what it does not use is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import conf
from scalinglab.scaling.choices import with_choice
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import keys_of
from scalinglab.scaling.optimizers.optimizer import (
    OPTIMIZERS,
    OptimizerConfig,
    member_settings,
    optimizer_science,
)
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.identity import run_id

GROUPS = Path(conf.__file__).parent / "optimizer"


def science(**values):
    return optimizer_science(from_dict(OptimizerConfig, values, "optimizer"))


def test_the_science_of_adamw_is_what_it_was_before_there_were_others(tiny_run):
    """Its keys and values are those of every recorded run, so ids stay."""
    run = tiny_run()
    old = {
        "name": "adamw",
        "beta1": 0.9,
        "beta2": 0.95,
        "epsilon": 1e-8,
        "weight_decay": 0.1,
        "clip": 1.0,
    }
    assert run.science["optimizer"] == old
    assert run_id(run.science | {"optimizer": old}) == run.run_id


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_has_a_group_whose_values_are_its_own(name):
    values = yaml.safe_load((GROUPS / f"{name}.yaml").read_text())
    values = {
        k: float(v) if isinstance(v, str) and k != "name" and k != "adjust_lr" else v
        for k, v in values.items()
    }
    assert set(values) == set(keys_of(OPTIMIZERS[name]))
    found = science(**values)
    assert found == {k: v for k, v in values.items() if k != "lr"}
    assert isinstance(member_settings(found.pop("name"), found), OPTIMIZERS[name])


def test_every_group_is_an_optimizer():
    assert {p.stem for p in GROUPS.glob("*.yaml")} == set(OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_knows_its_name(name):
    assert OPTIMIZERS[name].name == name


def test_what_is_left_open_is_determined():
    assert science(name="sgd") == {
        "name": "sgd",
        "momentum": 0.9,
        "nesterov": False,
        "weight_decay": 0.1,
        "clip": 1.0,
    }


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "muno"}, r"optimizer\.name = 'muno' is not one of: adafactor, adamp, adamw"),
        (
            {"nesterov": True},
            r"optimizer\.nesterov = True: optimizer\.name = 'adamw' does not use it; it uses beta1, ",
        ),
        (
            {"name": "sgd", "beta2": 0.99},
            r"optimizer\.beta2 = 0\.99: optimizer\.name = 'sgd' does not use it",
        ),
        (
            {"name": "sgd", "momentum": 1.0},
            r"optimizer\.momentum = 1\.0: allowed is 0 or more and below 1",
        ),
        ({"name": "muon", "adjust_lr": "rms"}, r"optimizer\.adjust_lr = 'rms' is not one of: orig"),
        ({"name": "muon", "orthogonal_steps": 0}, r"orthogonal_steps = 0: allowed is 1 or more"),
        ({"name": "adafactor", "beta2_decay": 0.8}, r"beta2_decay = 0\.8: allowed is below 0"),
        ({"name": "schedule_free", "beta1": 0}, r"beta1 = 0\.0: allowed is above 0 and below 1"),
        (
            {"name": "adamp", "decay_ratio": -1},
            r"optimizer\.decay_ratio = -1\.0: allowed is 0 or more",
        ),
    ],
)
def test_mistakes_name_the_key_and_what_is_allowed(values, message):
    with pytest.raises(ConfigError, match=message):
        science(**values)


def test_a_program_names_any_optimizer_and_says_what_its_keys_mean(tiny_run):
    program = {"trainer.kind": "command", "trainer.program": "x", "execution.command": ["x"]}
    plain = tiny_run(program | {"optimizer": {"name": "adam_mini", "lr": 0.01, "momentum": 2}})
    assert plain.science["optimizer"] == {
        "name": "adam_mini",
        "beta1": 0.9,
        "beta2": 0.95,
        "epsilon": 1e-8,
        "weight_decay": 0.1,
        "clip": 1.0,
        "momentum": 2.0,
    }
    with pytest.raises(ConfigError, match=r"unknown key 'optimizer\.momentun'; did you mean"):
        tiny_run(program | {"optimizer": {"momentun": 0.9}})


def test_another_choice_keeps_what_both_use():
    """As an axis of a study has it: ``optimizer.name: [adamw, lion, sgd]``."""
    group = {"name": "adamw", "lr": 0.1, "beta2": 0.99, "epsilon": 1e-6, "weight_decay": 0.3}
    lion = with_choice(OptimizerConfig, group, "name", "lion", "optimizer")
    assert lion == {
        "name": "lion",
        "lr": 0.1,
        "beta1": 0.9,
        "beta2": 0.99,
        "weight_decay": 0.3,
        "clip": 1.0,
    }
    with pytest.raises(ConfigError, match=r"optimizer\.name = 'lino' is not one of"):
        with_choice(OptimizerConfig, group, "name", "lino", "optimizer")
