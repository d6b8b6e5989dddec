"""Each optimizer's keys: what it uses is determined, what it does not use is refused."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

import conf
from scalinglab.scaling.config import ConfigError, OptimizerConfig, from_dict
from scalinglab.scaling.optimizers.settings import SETTINGS, member_settings, optimizer_science
from scalinglab.scaling.records.identity import run_id

GROUPS = Path(conf.__file__).parent / "optimizer"


def science(**values):
    return optimizer_science(from_dict(OptimizerConfig, values))


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


@pytest.mark.parametrize("name", SETTINGS)
def test_every_optimizer_has_a_group_whose_values_are_its_own(name):
    values = yaml.safe_load((GROUPS / f"{name}.yaml").read_text())
    values = {
        k: float(v) if isinstance(v, str) and k != "name" and k != "adjust_lr" else v
        for k, v in values.items()
    }
    used = {f.name for f in fields(SETTINGS[name])}
    assert set(values) == used | {"name", "lr"}
    found = science(**values)
    assert found == {"name": name} | {k: values[k] for k in used}
    assert isinstance(member_settings(found.pop("name"), found), SETTINGS[name])


def test_every_group_is_an_optimizer():
    assert {p.stem for p in GROUPS.glob("*.yaml")} == set(SETTINGS)


def test_every_key_of_the_configuration_is_used_by_an_optimizer():
    keys = {f.name for f in fields(OptimizerConfig)} - {"name", "lr"}
    assert keys == {f.name for kind in SETTINGS.values() for f in fields(kind)}


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
        ({"name": "muno"}, r"optimizer\.name = 'muno' is not one of: adamw, sgd, lion"),
        ({"nesterov": True}, r"optimizer\.nesterov = True: adamw does not use it; it uses beta1, "),
        ({"name": "sgd", "beta2": 0.99}, r"optimizer\.beta2 = 0\.99: sgd does not use it"),
        ({"name": "sgd", "momentum": 1.0}, r"optimizer\.momentum = 1\.0: allowed is 0 up to"),
        ({"name": "muon", "adjust_lr": "rms"}, r"optimizer\.adjust_lr = 'rms' is not one of: orig"),
        ({"name": "muon", "orthogonal_steps": 0}, r"orthogonal_steps = 0: allowed is above 0"),
        ({"name": "adafactor", "beta2_decay": 0.8}, r"beta2_decay = 0\.8: allowed is below 0"),
        ({"name": "schedule_free", "beta1": 0}, r"schedule_free needs it above 0"),
        ({"name": "adamp", "decay_ratio": -1}, r"optimizer\.decay_ratio = -1\.0: allowed is >= 0"),
    ],
)
def test_mistakes_name_the_key_and_what_is_allowed(values, message):
    with pytest.raises(ConfigError, match=message):
        science(**values)


def test_an_unused_key_at_its_default_is_no_mistake():
    assert "epsilon" not in science(name="lion", epsilon=1e-8)
