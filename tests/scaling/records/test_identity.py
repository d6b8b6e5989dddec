"""Same science, same id; other science, other id; runs that agree up to a step share its id."""

import copy
import dataclasses
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.fields import setting
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS, OptimizerConfig, optimizer_science
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records import identity
from scalinglab.scaling.records.identity import canonical_json, digest, family_id, prefix_id, run_id
from scalinglab.scaling.run.resolve import resolve

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def reordered(value, order):
    """The same value with the keys of its dictionaries in another order."""
    if isinstance(value, dict):
        return {k: reordered(value[k], order) for k in order(value)}
    return [reordered(v, order) for v in value] if isinstance(value, list) else value


@given(plain)
def test_the_order_of_keys_does_not_matter(value):
    assert canonical_json(value) == canonical_json(reordered(value, reversed))


@given(plain, plain)
def test_different_values_have_different_spellings(one, other):
    same = repr(reordered(one, sorted)) == repr(reordered(other, sorted))
    assert (canonical_json(one) == canonical_json(other)) == same


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")]])
def test_numbers_without_one_spelling_are_refused(value):
    with pytest.raises(ValueError, match="only finite numbers"):
        canonical_json({"clip": value})


@pytest.mark.parametrize("value", [object(), (1, 2), {1}, b"x", 1j])
def test_objects_are_refused_by_the_name_of_their_key(value):
    with pytest.raises(TypeError, match="optimizer.clip"):
        canonical_json({"optimizer": {"clip": value}})


def test_keys_must_be_strings():
    with pytest.raises(TypeError, match="not a string"):
        canonical_json({1: 2})


@given(st.integers(1, 1000))
def test_a_number_typed_by_its_field_has_one_id(whole):
    """``clip: 1`` and ``clip: 1.0`` are one value once the dataclass has typed them."""
    ids = {digest(vars(from_dict(OptimizerConfig, {"clip": v}))) for v in (whole, float(whole))}
    assert len(ids) == 1
    assert digest({"clip": 1}) != digest({"clip": 1.0})


def test_an_id_is_short_and_safe_in_any_file_name():
    ids = [digest({"i": i}) for i in range(100)]
    assert len(set(ids)) == 100
    assert set("".join(ids)) <= set(string.ascii_lowercase + "234567")


def test_ids_are_pinned():
    """A change here orphans every recorded run: raise IDENTITY_VERSION or think again."""
    science = {
        "model": {"width": 16},
        "optimizer": {"clip": 1.0},
        "schedule": [{"shape": "constant", "steps": 4, "start": 0.5, "end": 0.5}],
        "steps": 4,
        "seed": 0,
    }
    assert run_id(science) == "i5kgrqouw5"
    assert family_id(science) == "bwl6nr4vgyn7kk57"
    assert prefix_id(science, 2) == "eojtzwagshc76std"


# ---------------------------------------------------------------------- what changes an id


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"data.seed": 7},
        {"model.depth": 2},
        {"model.heads": 1},
        {"model.rope_base": 500.0},
        {"model.mlp_ratio": 2},
        {"model.activation": "gelu"},
        {"model.placement": "peri"},
        {"model.qk_norm": False},
        {"model.init": "small"},
        {"model.parametrization": "mup", "model.base_width": 8},
        {"optimizer.lr": 0.011},
        {"optimizer.beta2": 0.99},
        {"optimizer.weight_decay": 0.0},
        {"schedule.warmup_tokens": 128},
        {"schedule.final_ratio": 0.1},
        {"schedule.cooldown_shape": "sqrt"},
        {"batch": 2},
        {"precision": "bf16"},
        {"z_loss": 1e-4},
        {"tokens": 64 * 41},
        {"data.unique_tokens": 6400},
        {"data.validation_tokens": 256},
    ],
    ids=lambda change: next(iter(change)),
)
def test_science_changes_the_id(tiny_run, change):
    assert tiny_run(change).run_id != tiny_run().run_id


@pytest.mark.parametrize(
    ("key", "value"), [("base_width", None), ("post_fraction", 0.25), ("depth_exponent", 1.0)]
)
def test_what_the_model_does_not_use_makes_no_other_run(tiny_run, key, value):
    """At its default, which files name; at any other value it is refused."""
    assert tiny_run({f"model.{key}": value}).run_id == tiny_run().run_id


def test_other_content_changes_the_id_though_every_other_key_is_the_same(tiny_config, tiny_store):
    other = dataclasses.replace(tiny_store.manifest, content_hash="other")
    one = resolve(tiny_config(), tiny_store.manifest)
    assert resolve(tiny_config(), other).run_id != one.run_id


@pytest.mark.parametrize(
    "change",
    [
        {"execution.engine": "eager"},
        {"execution.device": "cuda"},
        {"execution.threads": 7},
        {"execution.checkpoint_seconds": 1.0},
        {"execution.lease_seconds": 5.0},
        {"execution.hang_seconds": 5.0},
        {"execution.processes": 2},
        {"execution.shard": True, "execution.processes": 2},
        {"execution.deterministic": True},
        {"execution.micro_batch": 2},
        {"execution.loss_chunk": 2},
        {"execution.recompute": True},
        {"execution.measure": ["logits"]},
        {"execution.validate": ["text-0"]},
        {"execution.command": ["python", "train.py"]},
        {"execution.keep_slurm": True},
        {"data.max_epochs": 4.0},  # a limit for the planner, not a value that is trained with
    ],
    ids=lambda change: next(iter(change)),
)
def test_where_and_how_a_run_is_executed_does_not(tiny_run, change):
    assert tiny_run(change).run_id == tiny_run().run_id


def test_the_cases_above_name_every_execution_key():
    assert set(vars(ExecutionConfig())) == {
        "engine",
        "device",
        "threads",
        "checkpoint_seconds",
        "lease_seconds",
        "processes",
        "micro_batch",
        "loss_chunk",
        "recompute",
        "measure",
        "validate",
        "command",
        "keep_slurm",
        "hang_seconds",
        "shard",
        "deterministic",
    }


def test_what_was_derived_and_what_was_said_is_the_same_run(tiny_run):
    """An id is made from determined values, whoever determined them."""
    dial = {"model.width": None, "model.heads": None, "model.aspect": 16, "model.head_dim": 8}
    assert tiny_run(dial).run_id == tiny_run().run_id
    assert tiny_run({"tokens": 64 * 40 - 1}).run_id == tiny_run().run_id  # rounds up to steps
    assert tiny_run({"seed": 3}).run_id == tiny_run({"seed": 3, "data.seed": 3}).run_id


def test_a_changed_default_is_another_run(tiny_run):
    science = tiny_run().science
    changed = copy.deepcopy(science)
    changed["optimizer"]["beta2"] = 0.98
    assert run_id(science) != run_id(changed)


# ---------------------------------------------------------------------- historic values


@given(
    path=st.sampled_from(["optimizer.nesterov", "model.softcap", "recipe"]),
    value=st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False),
)
def test_a_key_at_its_historic_value_leaves_all_ids_as_they_were(tiny_run, path, value):
    old = tiny_run().science
    new = with_key(old, path, value)
    historic = {**identity.historic_of(new), path: value}
    assert run_id(new, historic) == run_id(old)
    assert prefix_id(new, 3, historic) == prefix_id(old, 3)
    assert family_id(new, historic) == family_id(old)


@pytest.mark.parametrize("value", [True, None, 0, 0.0, "False"])
def test_at_any_other_value_it_changes_them(tiny_run, value):
    old = tiny_run().science
    new, historic = with_key(old, "optimizer.nesterov", value), {"optimizer.nesterov": False}
    assert run_id(new, historic) != run_id(old)
    assert prefix_id(new, 3, historic) != prefix_id(old, 3)


def test_a_run_that_was_recorded_before_there_were_trainers_keeps_its_id(tiny_run):
    science = tiny_run().science
    old = {k: v for k, v in science.items() if k != "trainer"}
    assert science["trainer"]["kind"] == "engine"
    assert run_id(science) == run_id(old) and family_id(science) == family_id(old)
    assert prefix_id(science, 3) == prefix_id(old, 3)


@pytest.mark.parametrize(
    "change", [{"trainer.program": "megatron"}, {"trainer.options": {"tensor_parallel": 2}}]
)
def test_the_program_and_its_options_are_science(tiny_run, change):
    command = {"trainer.kind": "command", "trainer.program": "titan", "execution.command": ["x"]}
    ids = {tiny_run(c).run_id for c in ({}, command, command | change)}
    assert len(ids) == 3


def test_leaving_a_key_out_does_not_touch_the_science_itself(tiny_run):
    science = with_key(tiny_run().science, "optimizer.nesterov", False)
    before = copy.deepcopy(science)
    run_id(science, {"optimizer.nesterov": False})
    assert science == before


def test_the_historic_values_are_those_that_were_declared_when_they_joined(tiny_run):
    """Every id of a recorded run rests on them, types included."""
    model = {
        "activation": "relu2",
        "norm": "rmsnorm",
        "placement": "pre",
        "post_fraction": None,
        "norm_scale": "one",
        "qk_norm": True,
        "embedding_scale": "one",
        "init": "normal",
        "logit_softcap": None,
        "tied_head": False,
        "bias": False,
        "parametrization": "sp",
        "base_width": None,
        "base_depth": None,
        "base_head_dim": None,
        "depth_exponent": 1.0,
        "decay_rule": "product",
    }
    first = {"trainer": {"kind": "engine", "program": None, "options": {}}, "z_loss": 0.0} | {
        f"model.{key}": value for key, value in model.items()
    }
    declared = identity.historic_of(tiny_run().science)
    joined = {key: declared[key] for key in first}
    assert canonical_json(joined) == canonical_json(first)


def test_every_historic_key_is_one_of_the_science(tiny_run):
    for path in identity.historic_of(tiny_run().science):
        node = tiny_run().science
        for key in path.split("."):
            node = node[key]


def test_an_optimizer_that_is_registered_later_has_historic_values_of_its_own(
    tiny_run, monkeypatch
):
    """Also where another optimizer has a key of that name, and where its file is not imported."""

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Late(OPTIMIZERS["adamw"]):
        name: str = "late"
        beta1: float = setting(0.9, historic=0.9)

    adamw = tiny_run().science
    late = adamw | {"optimizer": adamw["optimizer"] | {"name": "late"}}
    without_key = copy.deepcopy(late)
    del without_key["optimizer"]["beta1"]
    before = run_id(without_key)
    assert run_id(late) != before  # nobody knows yet that the key joined later
    monkeypatch.setattr(OPTIMIZERS, "_definitions", {**OPTIMIZERS, "late": Late})
    assert run_id(late) == run_id(without_key) == before
    assert identity.with_historic(without_key)["optimizer"]["beta1"] == 0.9
    assert "beta1" not in optimizer_science(Late()) and run_id(adamw) == tiny_run().run_id


def with_key(science, path, value):
    science = copy.deepcopy(science)
    *groups, key = path.split(".")
    node = science
    for group in groups:
        node = node[group]
    node[key] = value
    return science


# ---------------------------------------------------------------------- prefixes


def shared(one, other):
    """Steps at which two runs have the same prefix id."""
    last = min(one.steps, other.steps)
    return [s for s in range(last + 1) if prefix_id(one.science, s) == prefix_id(other.science, s)]


def test_wsd_runs_share_their_trunk_up_to_the_first_cooldown(tiny_run):
    short, long = tiny_run({"tokens": 64 * 40}), tiny_run({"tokens": 64 * 80})
    assert shared(short, long) == list(range(30 + 1))  # the last quarter of 40 is cooldown


def test_cooldowns_of_other_shapes_share_the_trunk(tiny_run):
    assert shared(tiny_run(), tiny_run({"schedule.cooldown_shape": "sqrt"})) == list(range(31))


def test_a_constant_run_is_a_trunk(tiny_run):
    constant = tiny_run({"schedule.kind": "constant", "tokens": 64 * 20})
    assert shared(constant, tiny_run()) == list(range(21))


def test_constant_runs_share_all_of_the_shorter_one(tiny_run):
    one = tiny_run({"schedule.kind": "constant", "tokens": 64 * 20})
    other = tiny_run({"schedule.kind": "constant", "tokens": 64 * 70})
    assert shared(one, other) == list(range(21))


@pytest.mark.parametrize(
    "change",
    [{"schedule.warmup_tokens": 320}, {"optimizer.lr": 0.02}],
    ids=["warm-up", "peak"],
)
def test_another_warmup_shares_nothing_but_the_start(tiny_run, change):
    assert shared(tiny_run(), tiny_run(change)) == [0]


def test_runs_whose_whole_schedule_depends_on_their_length_share_only_the_warmup(tiny_run):
    one = tiny_run({"schedule.kind": "cosine", "tokens": 64 * 40})
    other = tiny_run({"schedule.kind": "cosine", "tokens": 64 * 80})
    assert shared(one, other) == list(range(4 + 1))


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"data.seed": 5}, {"batch": 2}, {"model.heads": 1}]
)
def test_other_science_shares_not_even_the_start(tiny_run, change):
    one, other = tiny_run(), tiny_run(change)
    assert shared(one, other) == []
    assert one.family_id != other.family_id


def test_the_family_is_the_science_without_schedule_and_length(tiny_run):
    changes = [{}, {"tokens": 6400}, {"schedule.kind": "cosine"}, {"optimizer.lr": 0.5}]
    assert len({tiny_run(change).family_id for change in changes}) == 1


def test_a_step_beyond_the_schedule_has_no_prefix(tiny_run):
    with pytest.raises(ValueError, match="beyond"):
        prefix_id(tiny_run().science, 41)
