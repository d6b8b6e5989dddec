"""What a design of points is told to lack."""

from __future__ import annotations

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.plan.design import LawNeeds, check_design

RULE = {"name": "r", "source": "", "coefficient": 0.01, "n_exponent": -0.3, "d_exponent": 0.0}
SIZES = {8: 1, 16: 2, 24: 3, 32: 4, 40: 5}
TOKENS = (2560, 5120, 10240)


@pytest.fixture
def ladder(tiny_run):
    """Five sizes, three budgets, a repeated seed and a larger size held out: nothing is wrong."""

    def run(width: int, tokens: int, **changes):
        base = {
            "model.width": width,
            "model.heads": SIZES.get(width, width // 8),
            "tokens": tokens,
            "optimizer.lr": None,
            "rule": RULE,
        }
        return tiny_run(base | {k.replace("__", "."): v for k, v in changes.items()})

    points = [(run(w, d), ("fit",)) for w in SIZES for d in TOKENS]
    points += [(run(w, 2560, seed=s), ("fit",)) for w in SIZES for s in (1, 2)]
    points += [(run(64, 10240), ("held_out",))]
    return run, points


def said(points) -> str:
    return " ".join(check_design(points))


def test_a_good_design_is_told_nothing(ladder) -> None:
    assert check_design(ladder[1]) == []


def test_what_is_missing_is_named(ladder) -> None:
    run, points = ladder
    assert "no seed is repeated" in said([p for p in points if p[0].config.seed == 0])
    assert "no run beyond the fitted ones is held out" in said(points[:-1])
    assert "5 independent groups" in said([p for p in points if p[0].config.seed == 0])
    few = [p for p in points if p[0].shape.width <= 24]
    assert "3 fitted sizes" in said(few)
    assert "fewer than 3 ratios D/N" in said([p for p in points if p[0].tokens != 5120])


def test_confounded_sizes_and_tokens_are_named(ladder) -> None:
    run, _ = ladder
    line = [(run(w, 2560 * k), ("fit",)) for k, w in enumerate((8, 16, 24, 32, 40), start=1)]
    assert "N and D are confounded" in said(line)
    assert "the same D" in said([(run(w, 2560), ("fit",)) for w in SIZES])


def test_a_law_of_one_axis_is_not_asked_for_the_other(ladder) -> None:
    run, _ = ladder
    of_tokens = LawNeeds(frozenset("D"), 3, "the law saturating")
    line = [(run(8, d, seed=s), ("fit",)) for d in TOKENS for s in (0, 1)]
    line.append((run(64, 10240), ("held_out",)))
    told = " ".join(check_design(line, of_tokens))
    assert "N" not in told.replace("N and D", "") and "sizes" not in told.split("more")[0]
    assert "the 3 parameters of the law saturating" in told
    same = [(r, roles) for r, roles in line if r.tokens == TOKENS[0] or "held_out" in roles]
    assert "the same D" in " ".join(check_design(same, of_tokens))


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"optimizer__beta2": 0.5}, "optimizer"),
        ({"model__mlp_ratio": 2}, "model.mlp_ratio"),
        ({"model__context": 8}, "model.context"),
        ({"model__heads": 2}, "model.head_dim"),
        ({"batch": 8}, "batch"),
        ({"schedule__cooldown_fraction": 0.5}, "schedule"),
        ({"optimizer__lr": 0.5}, "the rule or value of the LR"),
    ],
)
def test_another_recipe_on_one_rung_is_named(ladder, changes, name) -> None:
    run, points = ladder
    other = [*points[1:], (run(8, 2560, **changes), ("fit",))]
    assert "mix recipes" in said(other) and name in said(other)


def test_a_gated_mlp_that_is_rounded_at_some_widths_is_one_recipe(ladder) -> None:
    run, _ = ladder
    points = [(run(w, d, model__activation="swiglu"), ("fit",)) for w in SIZES for d in TOKENS]
    assert len({p.shape.mlp_width / p.shape.width for p, _ in points}) > 1
    assert "mix recipes" not in said(points)
    other = run(8, TOKENS[0], model__activation="swiglu", model__mlp_ratio=6)
    assert "model.mlp_ratio" in said([*points[1:], (other, ("fit",))])


def test_a_seed_of_another_recipe_repeats_nothing(ladder) -> None:
    run, points = ladder
    once = [p for p in points if p[0].config.seed == 0]
    assert "no seed is repeated" in said([*once, (run(8, 2560, seed=1, batch=8), ("fit",))])


BATCH = {"name": "b", "source": "", "coefficient": 64.0, "n_exponent": 0.2, "n_unit": 1e3}


def test_a_rule_is_one_recipe_whatever_it_gives(ladder) -> None:
    run, _ = ladder
    by_rule = {"batch": None, "rule": RULE | {"batch": BATCH}}
    points = [(run(w, d, **by_rule), ("fit",)) for w in SIZES for d in TOKENS]
    assert len({p.config.batch for p, _ in points}) > 1
    assert "mix recipes" not in said(points)
    assert "the rule of batch" in said([*points, (run(8, 2560, seed=3), ("fit",))])


def test_a_run_cannot_be_fitted_and_held_out(ladder) -> None:
    _, points = ladder
    both = [(points[0][0], ("fit", "held_out")), *points[1:]]
    with pytest.raises(ConfigError, match="are fitted and held out"):
        check_design(both)
