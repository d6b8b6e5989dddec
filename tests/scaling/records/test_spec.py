"""run.json becomes a typed run and is the same again; what is older or younger is read too."""

import copy

import pytest

from scalinglab.scaling.records.atomic import read_json
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.identity import family_id, historic_of, run_id
from scalinglab.scaling.records.spec import RunSpec, read_spec
from scalinglab.scaling.text.flatten import flatten


@pytest.fixture
def stored(make_run):
    return read_json(make_run().path / "run.json")


def test_a_run_is_read_and_written_as_it_was(stored):
    assert RunSpec.from_dict(stored).to_dict() == stored


def test_the_values_are_those_of_the_resolved_run(make_run, tiny_run):
    spec, run = make_run().spec(), tiny_run()
    assert spec.architecture == run.architecture and spec.shape == run.shape
    assert list(spec.pieces) == run.pieces and spec.tokens == run.tokens
    assert (spec.batch, spec.seed, spec.precision) == (run.batch, run.config.seed, "fp32")
    assert spec.optimizer.name == "adamw" and spec.optimizer.settings["beta1"] == 0.9
    assert spec.data.content == run.science["data"]["content"]
    assert not spec.is_command and spec.schedule_kind == run.config.schedule.kind


def without_later_keys(science):
    """As the first version wrote it: no key that joined later."""
    old = copy.deepcopy(science)
    for path in historic_of(science):
        *groups, key = path.split(".")
        node = old
        for group in groups:
            node = node[group]
        node.pop(key, None)
    return old


def test_science_without_later_keys_is_the_same_run(stored):
    old = stored | {"science": without_later_keys(stored["science"])}
    assert old["science"] != stored["science"]
    first, now = RunSpec.from_dict(old), RunSpec.from_dict(stored)
    assert first.architecture == now.architecture and first.trainer == now.trainer
    assert first.z_loss == 0.0 and first.science == old["science"]
    assert run_id(first.science) == now.run_id and family_id(first.science) == now.family_id


def test_a_key_that_this_code_does_not_know_is_kept_and_changes_the_id(stored):
    science = copy.deepcopy(stored["science"])
    science["data"]["shards"] = ["one"]
    spec = RunSpec.from_dict(stored | {"science": science})
    assert flatten(spec.science)["data.shards"] == ["one"]
    assert run_id(spec.science) != stored["run_id"]


@pytest.mark.parametrize("key", ["batch", "seed", "precision"])
def test_science_that_lacks_a_key_of_every_version_is_damaged(stored, tmp_path, key):
    del stored["science"][key]
    stored["run_id"] = run_id(stored["science"])
    path = tmp_path / stored["run_id"] / "run.json"
    with pytest.raises(DamagedFile, match=f"describes no run .KeyError.*{key}"):
        read_spec(path, stored)


def test_settings_have_dotted_keys_and_the_sizes_that_were_determined(make_run):
    settings = make_run({"model.width": None, "model.aspect": 16}).spec().settings()
    assert settings["model.width"] == 16 * settings["model.depth"]
    assert settings["optimizer.name"] == "adamw"
