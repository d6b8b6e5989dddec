"""Designs: evenly spaced sizes of one recipe, N and D apart, equal FLOPs, within a budget."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scalinglab.compose import compose
from scalinglab.plan_view import PlanView
from scalinglab.prepare import Prepared
from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.read_options import from_dict
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.plan.design import check_design
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.study.axes import axes
from scalinglab.sweeps.study.expand import BlockConfig, expand

VOCAB = 256
LADDER = {"count": 5, "smallest": 2e4, "largest": 2e5, "ratios": [10, 20, 40]}
ISOFLOP = {"budgets": [1e12, 1e11], "count": 5, "span": 10, "ratio": 20}
GRID = {"count": 4, "smallest": 2e4, "largest": 2e5, "tokens": 1e5, "factor": 2, "steps": 3}


@pytest.fixture
def points(tiny_values):
    def made(generator: str, options: dict, part: str = "all", grid=None, **model) -> list[dict]:
        base = tiny_values(
            {
                "model.width": None,
                "model.heads": None,
                "model.head_dim": 8,
                "model.depth": 2,
                **{f"model.{k}": v for k, v in model.items()},
            }
        )
        values = {"role": "fit", "generator": generator, "options": options, "part": part}
        block = from_dict(BlockConfig, values | {"grid": grid or {}}, "study.blocks.b")
        return list(expand(block, "study.blocks.b", base, lambda data: VOCAB))

    return made


def n_matmul(point: dict) -> int:
    return 12 * point["model.depth"] * point["model.width"] ** 2 + VOCAB * point["model.width"]


def flops(point: dict, context: int = 16) -> float:
    attention = 6 * point["model.depth"] * point["model.width"] * context
    return (6 * n_matmul(point) + attention) * point["tokens"]


def test_axes_flatten() -> None:
    assert axes({"a": {"b": [1, 2], "c": {"d": 3}}}) == {"a.b": [1, 2], "a.c.d": [3]}


# ---------------------------------------------------------------------- ladder


def test_a_ladder_has_every_ratio_at_every_size_and_repeats_the_smallest(points) -> None:
    found = points("ladder", LADDER)
    sizes = sorted({n_matmul(p) for p in found})
    assert len(sizes) == 5 and len(found) == 3 * (5 + 2)
    assert {p["seed"] for p in found if n_matmul(p) == sizes[0]} == {0, 1, 2}
    assert {p["seed"] for p in found if n_matmul(p) > sizes[0]} == {0}
    for p in found:
        assert min(abs(p["tokens"] / n_matmul(p) / r - 1) for r in (10, 20, 40)) < 1e-3


def test_its_sizes_lie_evenly_in_logarithms(points) -> None:
    steps = np.diff(np.log(sorted({n_matmul(p) for p in points("ladder", LADDER)})))
    assert steps == pytest.approx(math.log(10) / 4, rel=0.3)  # as multiples of the head allow


def test_depth_grows_with_width_on_the_dial(points) -> None:
    options = LADDER | {"grow": "both", "largest": 2e6, "count": 4}
    shapes = {(p["model.depth"], p["model.width"]) for p in points("ladder", options, aspect=16)}
    assert all(width == 16 * depth for depth, width in shapes) and len(shapes) == 4


def test_the_top_and_what_is_below_it_are_all(points) -> None:
    whole, below, top = (points("ladder", LADDER, part) for part in ("all", "below", "top"))
    assert below + top == whole
    assert len({n_matmul(p) for p in top}) == 1
    assert min(map(n_matmul, top)) > max(map(n_matmul, below))


@pytest.mark.parametrize("budget", [1e13, 1e14])
def test_a_budget_is_kept_and_used(points, budget) -> None:
    open_top = LADDER | {"largest": None}
    found = points("ladder", open_top | {"budget": {"flops": budget}})
    assert 0.4 * budget < sum(map(flops, found)) <= budget
    hours = {"hours": 2.0, "flops_per_second": budget / 7200}
    assert points("ladder", open_top | {"budget": hours}) == found


# ---------------------------------------------------------------------- isoflop and grid


def test_isoflop_runs_of_a_budget_cost_it(points) -> None:
    found = points("isoflop", ISOFLOP)
    assert [flops(p) for p in found] == pytest.approx([1e11] * 5 + [1e12] * 5, rel=1e-3)
    sizes = [n_matmul(p) for p in found[5:]]
    assert max(sizes) / min(sizes) == pytest.approx(10, rel=0.2)
    middle = found[7]
    assert middle["tokens"] / n_matmul(middle) == pytest.approx(20, rel=0.5)


def test_a_grid_is_the_product_of_sizes_and_tokens(points) -> None:
    found = points("nd_grid", GRID)
    assert {p["tokens"] for p in found} == {100_000, 200_000, 400_000}
    assert len({n_matmul(p) for p in found}) == 4 and len(found) == 12


def test_other_axes_cross_a_design(points) -> None:
    found = points("nd_grid", GRID, grid={"optimizer": {"lr": [0.1, 0.2]}})
    assert len(found) == 24 and {p["optimizer.lr"] for p in found} == {0.1, 0.2}


@pytest.mark.parametrize(
    ("generator", "options", "more", "message"),
    [
        (
            "laddr",
            {},
            {},
            r"study\.blocks\.b\.generator = 'laddr' is not one of: grid, isoflop, ladder",
        ),
        ("ladder", {"counts": 3}, {}, r"unknown key 'study\.blocks\.b\.options\.counts'; did you"),
        ("ladder", LADDER, {"part": "left"}, r"b\.part = 'left' is not one of: all"),
        ("ladder", LADDER, {"grid": {"tokens": [1]}}, r"grid sets tokens, and so does the"),
        ("ladder", LADDER | {"count": 40}, {}, r"40 sizes .* not that many different shapes"),
        ("ladder", LADDER | {"largest": 1e3}, {}, r"allowed are two or more from a smaller"),
        ("ladder", LADDER | {"largest": None}, {}, r"neither largest nor a budget is set"),
        ("ladder", LADDER | {"budget": {"flops": 1e9}}, {}, r"cost .* and the budget is 1e\+09"),
        ("ladder", LADDER | {"budget": {"hours": 1}}, {}, r"needs .*budget\.flops_per_second"),
        (
            "ladder",
            LADDER | {"ratios": []},
            {},
            r"options\.ratios is empty: allowed are ratios D/N above 0",
        ),
        ("ladder", LADDER | {"grow": "depth"}, {}, r"options\.grow = 'depth' is not one of: width"),
        ("ladder", LADDER, {"heads": 4}, r"model\.heads = 4 .* a ladder keeps model\.head_dim"),
        ("isoflop", ISOFLOP | {"budgets": []}, {}, r"options\.budgets is empty"),
        (
            "isoflop",
            ISOFLOP | {"budgets": [0]},
            {},
            r"options\.budgets\[0\] = 0\.0: allowed is above 0",
        ),
        ("isoflop", ISOFLOP | {"budget": {"flops": 1e12}}, {}, r"cost 5\.5e\+12 FLOPs and the"),
        ("nd_grid", GRID | {"factor": 1}, {}, r"b\.options\.factor = 1\.0: allowed is above 1"),
        ("ladder", LADDER | {"count": 1}, {}, r"b\.options\.count = 1: allowed is 2 or more"),
        (
            "ladder",
            LADDER | {"budget": {"hours": 0}},
            {},
            r"budget\.hours = 0\.0: allowed is above",
        ),
        (
            "grid",
            {"count": 3},
            {},
            r"'study\.blocks\.b\.options\.count': there are no keys in study",
        ),
        (
            "grid",
            {},
            {"part": "top"},
            r"\.part = 'top' is for the generators isoflop, ladder, nd_gr",
        ),
        ("tune", {}, {"grid": {"optimizer": {"lr": [1]}}}, r"grid sets optimizer\.lr, and so does"),
    ],
)
def test_what_makes_no_sense_is_named(points, generator, options, more, message) -> None:
    with pytest.raises(ConfigError, match=message):
        points(generator, options, **more)


# ---------------------------------------------------------------------- the shipped studies


@pytest.fixture(scope="module")
def outputs_with_data(tmp_path_factory):
    return tmp_path_factory.mktemp("shipped")


@pytest.mark.parametrize("name", ["ladder", "isoflop", "nd_grid", "overtrain"])
def test_a_shipped_design_is_a_good_one_and_says_what_it_will_tell(name, outputs_with_data):
    plan = make_plan(compose([f"study={name}", f"outputs={outputs_with_data}"]))
    said = check_design([(p.run, p.roles) for p in plan.runs])
    confounded = [s for s in said if "confounded" in s or "mix recipes" in s or "held out" in s]
    assert confounded == []
    expected = PlanView(Prepared({}, LaunchConfig(), plan)).expected
    if name != "overtrain":  # no reference is published for the tied exponents
        assert np.isfinite(expected.width) and "+-" in expected.sentence()


def test_the_base_of_a_design_is_a_run(tiny_values) -> None:
    assert from_dict(RunConfig, tiny_values()).model.depth == 1


def test_axes_below_zip_go_together() -> None:
    grid = {"seed": [0, 1], "zip": {"model": {"width": [16, 32]}, "optimizer.lr": [0.1, 0.05]}}
    points = list(expand(BlockConfig("fit", grid), "b", {}, lambda data: VOCAB))
    assert [(p["seed"], p["model.width"], p["optimizer.lr"]) for p in points] == [
        (0, 16, 0.1),
        (0, 32, 0.05),
        (1, 16, 0.1),
        (1, 32, 0.05),
    ]
    assert set(axes(grid)) == {"seed", "model.width", "optimizer.lr"}


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        ({"zip": {"seed": [0, 1], "tokens": [1]}}, "as many values each; seed has 2, tokens has 1"),
        ({"zip": [1, 2]}, "expected are axes that go together"),
        ({"seed": [0], "zip": {"seed": [1], "tokens": [1]}}, "gives seed twice"),
    ],
)
def test_axes_that_cannot_go_together_are_refused(grid, said) -> None:
    with pytest.raises(ConfigError, match=said):
        list(expand(BlockConfig("fit", grid), "b", {}, lambda data: VOCAB))
