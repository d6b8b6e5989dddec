"""Rank, sharpness and depth on networks whose answers are known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.probes.kinds.depth import contributions, strategies
from scalinglab.scaling.engine.probes.kinds.effective_rank import ranks_of
from scalinglab.scaling.engine.probes.kinds.sharpness import extremes, hessian_product
from scalinglab.scaling.engine.probes.model import hooked
from scalinglab.scaling.engine.probes.reading import PROBED_BY, Reading
from scalinglab.scaling.probes.probe import probe_of


def asked(folder, name: str, **options):
    spec = folder.spec()
    reading = Reading(
        folder.outputs, spec, spec.steps, [(spec, spec.steps)], ExecutionConfig(), spec.batch
    )
    return PROBED_BY[name](probe_of(name, options), reading)


def test_the_extremes_of_a_known_matrix_are_found() -> None:
    draw = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(60, 60, generator=draw, dtype=torch.float64))
    values = torch.cat([torch.tensor([9.0, -4.0]), torch.linspace(-1, 1, 58)]).double()
    matrix = basis * values @ basis.T
    found = extremes(lambda v: matrix @ v, 60, 60, 1e-10, seed=1)
    assert found.largest == pytest.approx(9, rel=1e-9)
    assert found.smallest == pytest.approx(-4, rel=1e-3)
    early = extremes(lambda v: matrix @ v, 60, 6, 1e-12, seed=1)
    assert abs(early.largest - 9) <= early.error


def test_the_sharpness_of_softmax_regression_is_that_of_its_formula() -> None:
    """Even logits of V choices: the Hessian of a token is its share times (1 / V - 1 / V^2)."""
    network = nn.Embedding(5, 5)
    nn.init.zeros_(network.weight)
    options = SimpleNamespace(excluded=())
    model = SimpleNamespace(network=network, multiplier=1.0, part=1, options=options)
    tokens = torch.tensor([[0, 0, 0, 1, 2], [0, 1, 2, 3, 4]])  # four of eight inputs are a 0
    product, size = hessian_product(model, tokens)
    found = extremes(product, size, 25, 1e-9, seed=0)
    assert size == 25 and found.largest == pytest.approx(0.5 / 5, rel=1e-6)
    assert found.smallest == pytest.approx(0, abs=1e-7)
    options.excluded = (0,)  # two of the four targets that follow a 0
    product, _ = hessian_product(model, tokens)
    assert extremes(product, size, 25, 1e-9, seed=0).largest == pytest.approx(0.25 / 5, rel=1e-6)


def test_a_rank_is_the_number_of_even_directions() -> None:
    """Four features of even size among eight, in any basis; then one alone; then none."""
    signs = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    x_ND = torch.cat([signs, -signs]) @ torch.eye(4, 8)
    turn, _ = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))
    effective, utilized = ranks_of((x_ND @ turn).double() + 3, 0.99)
    assert effective == pytest.approx(0.5, rel=1e-5) and utilized == 0.5
    assert ranks_of((x_ND[:, :1] @ turn[:1]).double(), 0.99)[1] == 1 / 8
    assert ranks_of(torch.ones(4, 8).double(), 0.99) == (0, 0)


def test_depth_agrees_with_single_layers_and_sees_one_that_does_nothing(
    make_run, train_run
) -> None:
    folder = make_run({"model.depth": 3})
    train_run(folder)
    found, skipped = asked(folder, "depth"), asked(folder, "layers")
    assert [found[f"rise.1.{i}"] for i in range(3)] == [skipped[f"rise.{i}"] for i in range(3)]
    assert found["least.2"] == min(found["rise.2.0"], found["rise.2.1"])
    removed = asked(folder, "layers", do="remove", most=2)
    assert found[f"rise.2.{int(removed['first.2'])}"] == removed["rise.2"]
    by_name = asked(folder, "depth", do="strategies", most=1)
    assert by_name["rise.1.bottom"] == skipped["rise.0"]
    spec = folder.spec()
    places = [(spec, spec.steps)]
    reading = Reading(folder.outputs, spec, spec.steps, places, ExecutionConfig(), spec.batch)
    weights = reading.weights()
    idle = {n: w * 0 if n.startswith("blocks.1.") else w for n, w in weights.items()}
    ratios = contributions(reading.model_of(idle), reading.windows()[:2])
    assert ratios[1] == 0 and ratios[0] > 0 and ratios[2] > 0


def test_several_streams_are_read_as_the_head_is_given_them(make_run, train_run) -> None:
    """Else the rank of their copies is asked for, and what a block adds to each."""
    folder = make_run({"model.residual": {"name": "hyper", "streams": 3}})
    train_run(folder)
    spec = folder.spec()
    places = [(spec, spec.steps)]
    reading = Reading(folder.outputs, spec, spec.steps, places, ExecutionConfig(), spec.batch)
    model, windows = reading.model(), reading.windows()[:2]
    streams = []
    with hooked(model.blocks, lambda place, _, output: streams.append((place, output))):
        for _ in model.logits(windows):
            pass
    last = [output[0] if isinstance(output, tuple) else output for _, output in streams[-1:]]
    assert last[0].dim() == 4
    x_ND = last[0].mean(-2).double().flatten(0, 1)
    found = asked(folder, "effective_rank", windows=2)
    assert found[f"effective.{spec.shape.depth - 1}"] == pytest.approx(ranks_of(x_ND, 0.99)[0])
    assert len(contributions(model, windows)) == spec.shape.depth


def test_strategies_remove_what_they_say() -> None:
    names = {name: list(removed) for name, removed in strategies(6, 2).items()}
    middle, every_second = [2, 3], [3, 5]
    assert names == {
        "top": [4, 5],
        "bottom": [0, 1],
        "alternate": every_second,
        "symmetric": middle,
    }
    assert "alternate" not in strategies(4, 3)
