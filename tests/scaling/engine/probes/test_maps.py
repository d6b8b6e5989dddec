"""Linear maps between streams, where it is known how good they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.probes.kinds.maps import relative_error
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.engine.probes.ridge import AffineMap
from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.probes.kinds.linear import Linear
from scalinglab.scaling.probes.kinds.maps import Maps

EXACT = 1e-9  # a ridge that hardly counts


def reading_of(*specs, outputs) -> Reading:
    places = [(spec, spec.steps) for spec in specs]
    return Reading(outputs, specs[0], specs[0].steps, places, ExecutionConfig(), specs[0].batch)


def asked(reading: Reading, **options) -> dict[str, float]:
    return dict(PROBED_BY["maps"](Maps(**options), reading))


def test_an_affine_map_is_found_and_a_ridge_keeps_it_short() -> None:
    draw = torch.Generator().manual_seed(0)
    x_ND, weight_DK, offset_K = (
        torch.randn(size, generator=draw, dtype=torch.float64) for size in ((90, 4), (4, 3), (3,))
    )
    y_NK = x_ND @ weight_DK + offset_K
    exact = AffineMap(x_ND[:60], y_NK[:60], EXACT)
    assert relative_error(exact(x_ND[60:]), y_NK[60:]) < 1e-6
    short = AffineMap(x_ND[:60], y_NK[:60], 1.0)
    assert short.weight_DK.norm() < exact.weight_DK.norm()
    assert relative_error(short(x_ND[60:]), y_NK[60:]) > 1e-3


def test_a_block_that_does_nothing_is_mapped_without_an_error(
    make_run, train_run, monkeypatch
) -> None:
    folder = make_run({"model.depth": 3})
    train_run(folder)
    reading = reading_of(folder.spec(), outputs=folder.outputs)
    weights = reading.weights()
    idle = {n: w * 0 if n.startswith("blocks.1.") else w for n, w in weights.items()}
    monkeypatch.setattr(Reading, "weights", lambda self, place=-1: idle)
    later = asked(reading, to="later", ridge=EXACT)
    assert set(later) == {"error.0.1", "error.0.2", "error.1.2"}
    assert later["error.0.1"] < 1e-6 < later["error.1.2"] == pytest.approx(later["error.0.2"])
    end = asked(reading, ridge=EXACT)
    assert end["error.1"] == pytest.approx(later["error.1.2"])
    assert end["loss.0"] == pytest.approx(end["loss.1"]) and end["plain.0"] == end["plain.1"]


def test_the_loss_of_the_head_is_that_of_the_network_and_a_map_comes_near_it(
    make_run, train_run
) -> None:
    folder = make_run({"model.depth": 2})
    train_run(folder)
    reading = reading_of(folder.spec(), outputs=folder.outputs)
    numbers, windows = asked(reading, windows=16), reading.halves(16)
    assert numbers["loss"] == pytest.approx(reading.model().loss(windows[8:]), rel=1e-5)
    assert set(numbers) == {"error.0", "loss.0", "plain.0", "loss"}
    assert numbers["loss"] < numbers["loss.0"] < numbers["plain.0"]


def test_excluded_targets_count_nothing(make_run, train_run) -> None:
    folder = make_run({"model.depth": 2})
    train_run(folder)
    spec = replace(folder.spec(), excluded=(3,))
    reading = reading_of(spec, outputs=folder.outputs)
    windows = reading.halves(16)
    own = reading.model().loss(windows[8:])
    assert asked(reading, windows=16)["loss"] == pytest.approx(own, rel=1e-5)
    alone = PROBED_BY["ensemble"](None, reading)
    assert alone["member_loss"] == pytest.approx(reading.loss(reading.model()), rel=1e-6)


def test_a_run_maps_to_itself_without_an_error_and_at_equal_depth(make_run, train_run) -> None:
    shallow, deep = make_run({"model.depth": 2}), make_run({"model.depth": 4})
    for folder in (shallow, deep):
        train_run(folder)
    outputs, (one, other) = shallow.outputs, (shallow.spec(), deep.spec())
    same = asked(reading_of(one, one, outputs=outputs), to=one.run_id, ridge=EXACT)
    assert same["error.0.0"] < 1e-6 and same["error.1.1"] < 1e-6 < same["error.1.0"]
    assert (same["best.0"], same["best.1"], same["apart"]) == (0, 1, 0)
    numbers = asked(reading_of(one, other, outputs=outputs), to=other.run_id)
    assert {f"error.{i}.{j}" for i in range(2) for j in range(4)} < set(numbers)
    best = min((0, 1), key=lambda i: numbers[f"error.{i}.3"])
    assert numbers["best.3"] == best and 0 <= numbers["apart"] <= 1


def test_each_pass_through_a_block_has_numbers(make_run, train_run) -> None:
    folder = make_run({"model.loops": 3})
    train_run(folder)
    reading = reading_of(folder.spec(), outputs=folder.outputs)
    assert set(asked(reading, to="later")) == {"error.0.1", "error.0.2", "error.1.2"}
    linear = PROBED_BY["linear"](Linear(property="seen"), reading)
    assert {f"accuracy.{layer}" for layer in range(3)} < set(linear)


def test_what_cannot_be_mapped_is_refused(make_run, train_run) -> None:
    folder = make_run()
    train_run(folder)
    spec, outputs = folder.spec(), folder.outputs
    with pytest.raises(UserError, match="has one block: there is none after it"):
        asked(reading_of(spec, outputs=outputs), to="later")
    with pytest.raises(ConfigError, match=r"options.to = 'nope' is no run's id"):
        Maps(to="nope").check(spec, outputs)
    with pytest.raises(ConfigError, match="the half of them that is fitted has 16 tokens"):
        Maps(windows=2).check(spec, outputs)
    other = make_run({"data.options.vocab": 8, "model.context": 8, "batch": 8})
    with pytest.raises(ConfigError, match=f"run {other.run_id} is planned; allowed is a finished"):
        Maps(to=other.run_id).check(spec, outputs)
    train_run(other)
    with pytest.raises(ConfigError, match="differs from run .* in model.context"):
        Maps(to=other.run_id).check(spec, outputs)
    assert Maps(to=spec.run_id[:6]).prepared(outputs).to == spec.run_id
    assert Maps(to=spec.run_id[:6]).beside(outputs) == ((spec.run_id, spec.steps),)
