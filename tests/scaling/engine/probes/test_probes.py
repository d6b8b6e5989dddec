"""Numbers of checkpoints: equal to what training measured, and to what is computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from scalinglab.analysis.tables.curves import read_curve
from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.engine.network.attention_calls import of_call
from scalinglab.scaling.engine.probes.kinds.activations import kurtosis
from scalinglab.scaling.engine.probes.kinds.linear import _accuracy, _labels
from scalinglab.scaling.engine.probes.kinds.quantized import rounded
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading, by_turns
from scalinglab.scaling.engine.trainer.checkpoint import (
    load_checkpoint,
    save_checkpoint,
    save_part,
)
from scalinglab.scaling.probes.kinds.linear import Linear
from scalinglab.scaling.probes.probe import PROBES, probe_of
from scalinglab.scaling.records.parts import new_parts, write_manifest
from scalinglab.scaling.records.prefixes import stored_checkpoints

DEEP = {"model.depth": 3}


def asked(folder, name: str, options: dict[str, Any] | None = None, places=None, step=None):
    """The numbers of a probe at the end of a run, or of several checkpoints."""
    spec = folder.spec()
    at = spec.steps if step is None else step
    if places is None:
        places = [(spec, s) for s in probe_of(name, options or {}).reads(at, [at])]
    reading = Reading(folder.outputs, spec, at, places, ExecutionConfig(), spec.batch)
    return PROBED_BY[name](probe_of(name, options or {}), reading)


@pytest.fixture
def trained(make_run, train_run):
    """Train a tiny run."""

    def train(changes=None):
        folder = make_run(changes)
        assert train_run(folder) == "done"
        return folder

    return train


@pytest.mark.parametrize(
    "changes", [{}, {"optimizer": {"name": "schedule_free", "lr": 0.01}}, {"precision": "bf16"}]
)
def test_validation_is_that_of_the_training_bit_for_bit(trained, changes) -> None:
    folder = trained(changes)
    final = folder.record().final
    assert asked(folder, "validation") == {
        "loss": final.validation_loss,
        "bpb": final.validation_bpb,
    }


def test_a_store_is_validated_as_during_training(make_run, train_run, outputs) -> None:
    options = {"vocab": 8, "successors": 3, "tokens": 4_000, "validation_tokens": 1_000, "seed": 7}
    other = open_store(DataConfig(source="markov", options=options), outputs)
    name = other.folder.name
    folder = make_run({"execution.validate": [name]})
    train_run(folder)
    measured = folder.record().measured[f"loss.{name}"][-1]
    assert asked(folder, "validation", {"store": name})["loss"] == measured


def test_a_resumed_run_gives_the_same_numbers(make_run, make_apart, train_run) -> None:
    whole = make_apart(DEEP)
    train_run(whole)
    cut = make_run(DEEP)
    answers = iter([False, True] + [False] * 1000)
    while train_run(cut, should_stop=lambda: next(answers)) == "interrupted":
        pass
    for name in ("validation", "distance", "rank", "layers"):
        assert asked(cut, name) == asked(whole, name)


def test_a_checkpoint_in_parts_and_a_member_of_a_pack_give_the_numbers_of_the_whole(
    trained, make_run, train_run
) -> None:
    folder = trained(DEEP)
    whole = [asked(folder, name) for name in ("validation", "rank")]
    ((_, path),) = _ends(folder)
    checkpoint = load_checkpoint(path)
    parts = new_parts(path, 2)
    halves = [{}, {}]
    for key, tensor in checkpoint.state.items():  # rows of matrices, whole vectors
        rows = len(tensor) // 2 if tensor.dim() > 1 else len(tensor)
        halves[0][key] = tensor[:rows].clone()
        if rows < len(tensor):
            halves[1][key] = tensor[rows:].clone()
    save_checkpoint(parts[0], replace(checkpoint, state=halves[0]))
    save_part(parts[1], halves[1])
    write_manifest(path, parts)
    path.unlink()
    assert [asked(folder, name) for name in ("validation", "rank")] == whole
    members = [make_run({"seed": seed}) for seed in (1, 2)]
    train_run(*members)
    for member in members:
        final = member.record().final.validation_loss
        assert asked(member, "validation")["loss"] == pytest.approx(final, rel=1e-6)


def _ends(folder):
    spec = folder.spec()
    return [
        (at, path)
        for at, path in stored_checkpoints(folder.outputs, spec.science)
        if at == spec.steps
    ]


def test_step_zero_is_the_initial_weights_and_needs_no_checkpoint(make_run) -> None:
    folder = make_run()
    numbers = asked(folder, "distance", step=0)
    assert (numbers["distance"], numbers["angle"]) == (0, pytest.approx(0, abs=1e-4))
    assert asked(folder, "validation", step=0)["loss"] > 1
    for number in asked(folder, "proxies", step=0).values():
        assert math.isfinite(number)


def test_the_angle_a_step_is_that_to_the_checkpoint_before(trained) -> None:
    folder = trained()
    spec = folder.spec()
    whole = asked(folder, "distance")
    before = asked(folder, "distance", {"since": "before"}, [(spec, 0), (spec, spec.steps)])
    assert before["angle_a_step"] == whole["angle"] / spec.steps
    assert probe_of("distance", {"since": "before"}).reads(8, [2, 4, 8]) == [4, 8]


def test_an_average_of_equal_checkpoints_is_the_checkpoint(trained) -> None:
    folder = trained()
    spec = folder.spec()
    end = (spec, spec.steps)
    loss = asked(folder, "validation")["loss"]
    equal = asked(folder, "average", {"count": 2}, [end, end])
    assert equal["loss"] == loss
    between = asked(folder, "average", {"count": 2}, [(spec, 0), end])["loss"]
    late = asked(folder, "average", {"count": 2, "kind": "ema", "decay": 0.01}, [(spec, 0), end])
    assert 0 < abs(late["loss"] - loss) < abs(between - loss)


def test_an_ensemble_is_the_mean_of_probabilities(trained) -> None:
    one, other = trained({"seed": 0}), trained({"seed": 1, "data.seed": 0})
    places = [(f.spec(), f.spec().steps) for f in (one, other)]
    numbers = asked(one, "ensemble", places=places)
    losses = [asked(f, "validation")["loss"] for f in (one, other)]
    assert numbers["members"] == 2
    assert numbers["member_loss"] == pytest.approx(sum(losses) / 2, rel=1e-6)
    assert numbers["loss"] < numbers["member_loss"]  # Jensen's inequality
    twice = asked(one, "ensemble", places=[places[0]] * 2)
    assert twice["loss"] == pytest.approx(losses[0], rel=1e-6)


def test_layers_that_are_left_out_raise_the_loss_and_come_back(trained) -> None:
    folder = trained(DEEP)
    skipped = asked(folder, "layers")
    assert [k for k in skipped if k[-1].isdigit()] == ["rise.0", "rise.1", "rise.2"]
    removed = asked(folder, "layers", {"do": "remove", "most": 9})
    assert removed["rise.1"] == skipped[f"rise.{removed['first.1']}"]
    assert set(removed) >= {"rise.2", "angle.2"} and "rise.3" not in removed
    for do in ("swap", "parallel"):
        assert asked(folder, "layers", {"do": do})["rise_min"] != 0
    assert asked(folder, "layers") == skipped


def test_many_bits_cost_nothing_and_few_cost_much(trained) -> None:
    folder = trained()
    rises = [asked(folder, "quantized", {"bits": b})["rise"] for b in (16, 2)]
    assert abs(rises[0]) < 1e-3 < rises[1]
    weight = torch.tensor([[1.0, -0.4, 0.0], [0.0, 0.0, 0.0]])
    assert rounded(weight, 2).tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def test_kurtosis_is_one_for_equal_features_and_their_number_for_a_single_one() -> None:
    assert kurtosis(torch.ones(5, 4)) == 1
    alone = torch.zeros(5, 4)
    alone[:, 2] = 3
    assert kurtosis(alone) == 4


def test_even_attention_has_entropy_one_and_sharp_none() -> None:
    q, k, v = torch.zeros(1, 2, 4, 8), torch.ones(1, 2, 4, 8), torch.ones(1, 2, 4, 8)
    assert of_call(q, k, v, is_causal=True) == (0, pytest.approx(1))
    mask = torch.full((4, 4), -math.inf).triu(1)
    assert of_call(q, k, v, attn_mask=mask) == (0, pytest.approx(1))
    eyes = 100 * torch.eye(4, 8)[None, None]
    largest, entropy = of_call(eyes, eyes, v[:, :1], is_causal=True)
    assert largest == pytest.approx(1e4 / math.sqrt(8)) and entropy == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("positions", ["rotary", "alibi"])
def test_attention_is_seen_in_every_layer(trained, positions) -> None:
    numbers = asked(trained({**DEEP, "model.mixer.positions": positions}), "attention")
    assert all(0 <= numbers[f"entropy.{i}"] <= 1 for i in range(3))
    assert numbers["logit_max"] == max(numbers[f"logit_max.{i}"] for i in range(3)) > 0


def test_the_gradient_is_that_of_the_next_batch_of_the_run(make_run, train_run) -> None:
    """At the first step: the norm that the run itself recorded."""
    folder = make_run()
    train_run(folder)
    first = read_curve(folder)["grad_norm"].iloc[0]
    assert asked(folder, "gradients", step=0)["norm"] == pytest.approx(first, rel=1e-5)


def test_the_stable_rank_is_between_one_and_full(trained) -> None:
    numbers = asked(trained(), "rank", {"each": True})
    assert all(0 < share <= 1 for share in numbers.values()) and len(numbers) > 3


def test_every_shipped_probe_has_both_halves_and_gives_finite_numbers(trained) -> None:
    folder = trained({"model.depth": 2})
    assert set(PROBES) == set(PROBED_BY)
    spec = folder.spec()
    for name in set(PROBES) - {"average", "ensemble", "tasks", "pass_until"}:
        step = 0 if PROBES[name].of_start else spec.steps
        numbers = asked(folder, name, step=step)
        assert numbers and np.isfinite(list(numbers.values())).all(), name


def test_a_linear_probe_reads_what_is_there_and_chance_where_nothing_is() -> None:
    draw = torch.Generator().manual_seed(0)
    x_ND = torch.randn(400, 5, generator=draw, dtype=torch.float64)
    there = torch.where(x_ND @ torch.tensor([1.0, -2, 0, 0, 0.5], dtype=torch.float64) > 1, 1.0, -1)
    nothing = torch.where(torch.randn(400, generator=draw) > 0, 1.0, -1).double()
    for target, low, high in ((there.double(), 0.9, 1), (nothing, 0.4, 0.6)):
        fitted, tested = (x_ND[:200], target[:200]), (x_ND[200:], target[200:])
        assert low <= _accuracy(fitted, tested, 1e-3) <= high
    assert _accuracy((0 * x_ND, nothing), (0 * x_ND, nothing), 1e-3) >= 0.5


def test_properties_of_a_text_are_as_they_are_told() -> None:
    tokens = np.array([[1, 5, 1, 9, 5]])
    seen, known = _labels(Linear(property="seen"), tokens)
    assert seen.tolist() == [[False, False, True, False, True]] and known.all()
    before, known = _labels(Linear(lag=2), tokens)
    assert known.tolist() == [[False, False, True, True, True]]
    assert before[0, 2:].tolist() == [False, False, False]  # 1, 5, 1: the median is 5
    assert _labels(Linear(property="parity"), tokens)[0].sum() == 3


def test_windows_of_pools_come_by_turns_and_those_of_one_source_as_they_are() -> None:
    windows = np.arange(24).reshape(6, 4)  # three of each of two pools
    assert by_turns(windows, 2)[:, 0].tolist() == [0, 12, 4, 16, 8, 20]
    assert np.array_equal(by_turns(windows, 1), windows)


@pytest.mark.parametrize("residual", ["add", {"name": "hyper", "streams": 3}])
def test_a_linear_probe_gives_each_layer_and_the_same_again(trained, residual) -> None:
    """Of several streams it is given what the head would be given."""
    folder = trained({"model.residual": residual})
    first = asked(folder, "linear", {"property": "seen"})
    layers = folder.spec().shape.depth
    assert first == asked(folder, "linear", {"property": "seen"})
    assert {f"accuracy.{layer}" for layer in range(layers)} < set(first)
    assert first["accuracy"] == max(first[f"accuracy.{layer}"] for layer in range(layers))
