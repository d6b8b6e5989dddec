"""Two recipes: what their runs say of each other, and what they refuse to say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.arms.crossover import crossover
from scalinglab.analysis.arms.ladder import Ladder
from scalinglab.analysis.arms.sentences import (
    answer_in_words,
    at_scale,
    needed,
    one_law_in_words,
    sharing_in_words,
)
from scalinglab.analysis.arms.sharing import sharing_tests

A, B = (400.0, 1800.0), (300.0, 2300.0)  # coefficients of N and D


def loss(N, D, arm: tuple[float, float]):
    return 1.7 + arm[0] / N**0.34 + arm[1] / D**0.37


def runs(
    b: tuple[float, float] = B, own: float = 0.0005, common: float = 0.003, seed: int = 0
) -> pd.DataFrame:
    """Two arms on a grid, with two seeds whose luck both arms share."""
    rng = np.random.default_rng(seed)
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 4)))
    tables = []
    for s in (0, 1):
        luck = common * rng.standard_normal(len(N))
        for name, arm in (("adamw", A), ("muon", b)):
            noise = np.exp(luck + own * rng.standard_normal(len(N)))
            tables.append(
                pd.DataFrame(
                    {"arm": name, "N": N, "D": D, "seed": s, "loss": loss(N, D, arm) * noise}
                )
            )
    return pd.concat(tables, ignore_index=True)


TESTED = pd.DataFrame(
    {
        "shared": ["nothing", "E", "the exponents", "both", "everything"],
        "ratio": [0.0, 0.4, 0.8, 8.0, 90.0],
        "degrees": [0, 1, 2, 3, 5],
        "p": [np.nan, 0.52, 0.68, 0.02, 6.8e-18],
        "held_out": 0.001,
    }
)


def without_tests(data: pd.DataFrame, **options) -> analysis.ArmComparison:
    """Two arms compared, with made-up tests of what they share: these take most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scalinglab.analysis.arms.compare_arms.sharing_tests", lambda *_: TESTED)
        return analysis.compare_arms(data, **options)


@pytest.fixture(scope="module")
def alike() -> analysis.ArmComparison:
    """Two arms whose laws do not cross, of few resamples."""
    return without_tests(runs((300.0, 1500.0)), resamples=20)


@pytest.fixture(scope="module")
def compared() -> analysis.ArmComparison:
    """The two arms, with all that is said of them."""
    return analysis.compare_arms(runs(), resamples=100)


@pytest.fixture(scope="module")
def crossing() -> analysis.ArmComparison:
    """An arm that is worse with few parameters and tokens, better with many."""
    return without_tests(runs(CROSSING), resamples=100, budgets=[1e17, 6e20])


CROSSING = (350.0, 2300.0)


def test_speed_up_and_equivalent_data_are_those_of_the_laws_that_made_the_runs(
    compared,
) -> None:
    found = compared
    row = found.scales.iloc[0]
    assert row.inside and row.better > 0.99
    assert row.ratio == pytest.approx(loss(row.N, row.D, B) / loss(row.N, row.D, A), abs=2e-3)
    # A with D' tokens has B's loss at D: 1800 / D'^.37 = what is left of it at N.
    left = loss(row.N, row.D, B) - 1.7 - A[0] / row.N**0.34
    worth = (A[1] / left) ** (1 / 0.37) / row.D
    assert row.equivalent_data_lower < worth < row.equivalent_data_upper
    assert row.equivalent_data == pytest.approx(worth, rel=0.1)
    assert row.speed_up > 1.3 and not found.scales.iloc[2].inside
    wider = found.scales["ratio_upper"] - found.scales["ratio_lower"]
    assert wider.is_monotonic_increasing


def test_the_baseline_is_the_one_that_is_named_first(compared) -> None:
    one = compared
    other = without_tests(runs(), between=["muon", "adamw"], resamples=0)
    assert one.arms == ("adamw", "muon") and other.arms == ("muon", "adamw")
    assert one.scales.ratio[0] * other.scales.ratio[0] == pytest.approx(1)
    assert one.scales.speed_up[0] * other.scales.speed_up[0] == pytest.approx(1, rel=0.05)
    assert one.pairs.ratio * other.pairs.ratio == pytest.approx(1)


def test_what_both_arms_share_is_not_their_difference() -> None:
    table = runs(own=0.0002, common=0.01)
    found = without_tests(table, resamples=100, budgets=[1e20])
    swapped = table.assign(seed=np.where(table.arm == "muon", 1 - table.seed, table.seed))
    apart = without_tests(swapped, resamples=100, budgets=[1e20])

    def width(c):
        return float((c.scales.ratio_upper - c.scales.ratio_lower).iloc[0])

    assert width(found) < 0.5 * width(apart)
    assert len(found.pairs.table) == 40


def test_hypotheses_that_hold_are_kept_and_others_rejected(compared) -> None:
    table = compared.sharing.set_index("shared")
    assert table.loc["everything: one recipe", "p"] < 1e-6
    assert table.loc["E and the exponents", "p"] > 0.01
    assert table.loc["everything: one recipe", "held_out"] > 2 * table.loc["E", "held_out"]
    one_recipe = [
        sharing_tests(analysis.LAWS["chinchilla"], runs(A, 0.003, 0.0, seed), {"arm": "arm"})
        for seed in range(2)
    ]
    assert all(table["p"].iloc[-1] > 0.01 for table in one_recipe)  # under two names


def test_the_crossover_is_found_with_its_interval(crossing) -> None:
    found, b = crossing, CROSSING
    ladder = Ladder.of(runs(b).assign(_arm=lambda f: f.arm))
    cost = np.geomspace(1e15, 1e25, 20001)
    N, D = ladder.at(cost)
    sign = np.sign(loss(N, D, b) - loss(N, D, A))
    crossed = np.flatnonzero(np.diff(sign))
    truth = cost[crossed[0]]
    assert found.crossover["lower"] < truth < found.crossover["upper"]
    assert found.crossover["inside"] and ladder.low < truth < ladder.top
    assert found.crossover["towards"] == "B" and found.crossover["share"] > 0.9
    assert found.scales.better.iloc[0] < 0.2 and found.scales.better.iloc[1] > 0.8


def test_an_arm_with_too_few_runs_gets_no_law_but_its_pairs() -> None:
    table = runs()
    few = table[(table.arm == "adamw") | (table.N < 2e7)]
    found = analysis.compare_arms(few, resamples=0)
    assert found.result is None and len(found.pairs.table) == 8
    assert "no law is fitted" in found.report()
    tied = without_tests(few, resamples=0, shared=["E", "alpha", "beta"])
    assert tied.result is not None


def test_of_several_rates_each_arm_counts_at_its_best_and_the_others_are_told() -> None:
    few = runs()[lambda r: r["D"] < 2e9].assign(lr=0.01)
    both = pd.concat([few, few.assign(lr=0.02, loss=1.1 * few["loss"])], ignore_index=True)
    found, best = analysis.compare_arms(both), analysis.compare_arms(few)
    assert found.pairs.ratio == best.pairs.ratio and found.ended == {"adamw": 20, "muon": 20}
    assert found.warnings[0].startswith("20 of 40 runs are left out: of several learning rates")
    assert "left out" not in best.warnings[0]


def test_a_rate_at_which_one_seed_was_lost_does_not_win_by_the_other() -> None:
    few = runs()[lambda r: r["D"] < 2e9].assign(lr=0.01, status="done")
    larger = few.assign(lr=0.02, loss=0.9 * few["loss"])  # better, where it lives
    larger.loc[larger["seed"] == 1, ["loss", "status"]] = [np.nan, "diverged"]
    both = pd.concat([few, larger], ignore_index=True)
    found, small = (analysis.compare_arms(table, resamples=0) for table in (both, few))
    assert found.pairs.ratio == small.pairs.ratio and found.censored == {"adamw": 5, "muon": 5}


def test_laws_that_do_not_cross_are_said_not_to(alike) -> None:
    found = alike
    assert np.isnan(found.crossover["C"]) and found.crossover["towards"] == "B"
    assert "do not cross" in found.report() and "muon is better" in found.report()


@pytest.mark.parametrize(
    ("below", "within", "above", "said"),
    [
        (0.0, 0.0, 0.38, "Above it, searched up to C = 5e+23, a crossing cannot be excluded"),
        (0.2, 0.0, 0.0, "Below it, searched down to C = 1e+16, a crossing cannot be excluded"),
        (
            0.2,
            0.0,
            0.2,
            "Outside it, searched down to C = 1e+16 and up to C = 5e+23, a crossing cannot be"
            " excluded: the laws cross there in 38%",
        ),
        (
            0.0,
            0.3,
            0.1,
            "from C = 1e+16 to 5e+23 (searched) the laws cross in 38% of the resamples, in 30%"
            " within",
        ),
    ],
)
def test_a_crossing_that_some_resamples_have_is_said_where_it_may_be(
    alike, below, within, above, said
) -> None:
    crossed = {"C": np.nan, "share": 0.38, "towards": "B", "low": 1e17, "top": 5e20}
    crossed |= {"searched_low": 1e16, "searched_top": 5e23}
    crossed |= {"below": below, "within": within, "above": above}
    text = crossover(replace(alike, crossover=crossed))
    # The ends of what was measured are said to be that, and not to be where the difference ends.
    assert within or "from C = 1e+17 to 5e+20, where both recipes have runs" in text
    assert within or text.endswith(
        "measured range, not where the difference stops being significant"
    )
    assert said in text and "throughout" not in text.replace("throughout in the best fit", "")


def test_where_resamples_cross_is_counted_by_range(crossing) -> None:
    found = crossing.crossover
    assert found["within"] > 0.9 and found["within"] <= found["share"]
    assert found["low"] < found["C"] < found["top"]
    assert found["searched_low"] < found["low"] / 9 and found["searched_top"] > 900 * found["top"]


def test_one_scale_is_said_in_percent_and_without_infinities() -> None:
    row = {"C": 1e20, "N": 1e9, "D": 2e10, "inside": True, "better": 1.0}
    row |= {"ratio": 0.985, "ratio_lower": 0.98, "ratio_upper": 0.99}
    for name in ("speed_up", "equivalent_data"):
        row |= {name: 1.5, f"{name}_lower": 1.1, f"{name}_upper": np.inf}
    text = at_scale(row, ("adamw", "muon"))
    assert "muon's loss is 1.50% lower (1.00% to 2.00%; lower with probability above 0.99)" in text
    assert "1.50x (1.10 to unbounded) the tokens for it" in text
    assert "at the D/N of the runs" in text
    worse = row | {"ratio": 1.01, "ratio_lower": 0.99, "ratio_upper": 1.03, "better": 0.2}
    assert "1.00% higher (1.00% lower to 3.00% higher; higher with probability 0.80)" in at_scale(
        worse, ("adamw", "muon")
    )


def test_the_compute_that_the_baseline_needs_is_that_of_the_largest_measured_scale() -> None:
    found = analysis.compare_arms(runs(), resamples=0, budgets=[1e19, 1e20, 1e25])
    table = found.multipliers
    assert table["inside"].tolist() == [True] * 2 + [False] * (len(table) - 2)
    row = table.iloc[0]
    assert row.floor == "own" and row.split == "best"
    assert needed(found) == (
        f"for the loss of muon adamw needs {row.multiplier:#.3g}x the compute, at C = {row.C:.3g},"
        " the largest compute at which the best splits of both lie inside the fitted range; whether"
        " muon saves compute cannot be told"
    )
    saved = found.verdicts.assign(verdict="cannot tell", side="saves", near=True)
    assert "cannot" not in needed(replace(found, verdicts=saved))
    assert "muon narrowly saves compute" in replace(found, verdicts=saved).report()
    outside = replace(found, multipliers=table.assign(inside=False))
    assert needed(outside) == ""


def test_a_test_of_sharing_ends_in_a_sentence() -> None:
    tests = TESTED
    assert sharing_in_words(tests) == (
        "The laws of the recipes differ (p < 0.001). They could have in common: E; or the exponents."
    )
    alike = tests.assign(p=[np.nan, 0.5, 0.5, 0.5, 0.4])
    assert "do not tell these laws from one law for both (p = 0.4)" in sharing_in_words(alike)
    assert one_law_in_words(tests) == (
        "The runs reject one law for both recipes, as if they were one (p = 6.8e-18)."
    )
    assert one_law_in_words(alike).startswith("The runs do not reject one law")
    apart = tests.assign(p=[np.nan, 0, 0, 0, 0])
    assert sharing_in_words(apart).endswith("They share none of these.")


def test_points_on_the_way_down_are_refused_and_lost_runs_counted() -> None:
    table = runs()
    early = table.assign(status=["running"] + ["done"] * (len(table) - 1))
    with pytest.raises(ValueError, match="1 of 80 points were taken before their run had come to"):
        analysis.compare_arms(early, resamples=0)
    middle = table.assign(run="x", schedule="wsd")
    with pytest.raises(ValueError, match="with the learning rate on its way down"):
        analysis.compare_arms(middle, resamples=0)
    few = table[table["D"] < 2e9]  # of which no law is fitted
    lost = few.assign(status=np.where(few.index == few.index[-1], "diverged", "done"))
    found = analysis.compare_arms(lost, resamples=0)
    assert found.censored == {"adamw": 0, "muon": 1} and "1 of muon" in found.report()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"arm": "recipe"}, "arm = 'recipe': the table has no such column"),
        ({"between": ["adamw", "lion"]}, "arm 'lion' has no run"),
        ({"between": ["adamw"]}, "say between=[BASELINE,OTHER]"),
        ({"law": "lr_annealing"}, "arms are compared by a law of N and D"),
        ({"shared": ["gamma"]}, "chinchilla has no parameter 'gamma'"),
        ({"budgets": [-1.0]}, "is no number of FLOPs"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(options, said) -> None:
    with pytest.raises(ValueError) as refused:
        analysis.compare_arms(runs(), **({"resamples": 0} | options))
    assert said in str(refused.value)


def test_settings_that_differ_unasked_are_warned_of(finished) -> None:
    """The tiny study's learning rates: 1e30 is one run's own."""
    table = analysis.runs_by_arm(finished, ["tiny"], "schedule.kind")
    assert set(table["arm"]) == {"constant", "cosine", "wsd"}
    settings = analysis.arm_settings(finished, table, ["constant", "cosine"], "schedule.kind")
    assert settings.key.tolist() == ["schedule"] and settings.intended.all()
    # Runs of other schedules beside those that are paired are no difference between the arms.
    long = (table["width"] == 16) & (table["D"] == 20480)
    one = table[(long & (table["arm"] == "constant")) | (table["width"] == 24)].assign(arm="a")
    mixed = pd.concat([one, table[long & (table["arm"] == "wsd")].assign(arm="b")])
    assert analysis.arm_settings(finished, mixed, ["a", "b"], None).empty
    alike = analysis.arm_settings(finished, mixed.assign(schedule="same"), ["a", "b"], None)
    assert alike.key.tolist() == ["schedule"]
    other = analysis.arm_settings(finished, table, ["constant", "cosine"], "optimizer.name")
    assert not other.intended.any()
    few = runs()[lambda r: r["D"] < 2e9]  # of which no law is fitted
    found = analysis.compare_arms(few, resamples=0, differences=other)
    assert any("in more than the one setting: schedule" in said for said in found.warnings)
    with pytest.raises(ValueError, match="no run of study 'tiny' has such a setting"):
        analysis.runs_by_arm(finished, ["tiny"], "optimizer.nmae")
    with pytest.raises(ValueError, match="two studies without"):
        analysis.runs_by_arm(finished, ["tiny"], None)


def curve(arm: str, faster: float, shape: str = "wsd", seed: int = 0) -> pd.DataFrame:
    step = np.arange(0, 1001)
    cooled = np.clip((1001 - step) / 200, 0, 1) if shape == "wsd" else 1 - 0.9 * step / 1000
    fallen = 0.3 * (1 - cooled)
    made = 2 + 3 / np.maximum(step * faster, 1) ** 0.4 - fallen
    return pd.DataFrame(
        {
            "run": f"{arm}{seed}",
            "arm": arm,
            "step": step,
            "seed": seed,
            "lr": 1e-3 * (1 if arm == "a" else 3) * cooled,
            "loss": np.where(step % 50 == 0, made, np.nan),
        }
    )


def test_whole_curves_compare_at_one_schedule_and_speed_before_the_cooldown() -> None:
    table = pd.concat([curve("a", 1.0), curve("b", 1.5)])
    found = analysis.compare_arm_curves(table, between=["a", "b"])
    assert len(found) == 21 and (found.ratio[1:] < 1).all()
    speeds = found.speed_up.dropna()
    assert len(speeds) >= 5 and np.allclose(speeds, 1.5, rtol=0.05)
    assert found.lr_share[found.speed_up.notna()].min() > 0.98
    with pytest.raises(ValueError, match="only equal schedules compare"):
        analysis.compare_arm_curves(
            pd.concat([curve("a", 1.0), curve("b", 1.5, "linear")]), between=["a", "b"]
        )


def test_arms_that_share_no_compute_are_compared_beyond_both_and_nothing_is_called_measured() -> (
    None
):
    table, C = runs(), 6.0
    cost = C * table["N"] * table["D"]
    small = (table["arm"] == "adamw") & (cost < 2e18)
    large = (table["arm"] == "muon") & (cost > 5e18)
    found = without_tests(table[small | large], resamples=10)
    crossed = found.crossover
    assert np.isnan([crossed["low"], crossed["within"]]).all() and not crossed["inside"]
    doubtful = crossed | {"C": np.nan, "share": 0.4}
    assert "no compute was measured for both recipes" in crossover(
        replace(found, crossover=doubtful)
    )


def test_of_one_budget_the_ends_of_what_was_measured_are_in_order() -> None:
    table = runs()
    one = table[np.isclose(table["N"] * table["D"], 1e17, rtol=2)]
    crossed = without_tests(one, resamples=10).crossover
    assert crossed["low"] <= crossed["top"]


def test_arms_that_share_no_scale_are_not_told_apart_and_nothing_is_inside() -> None:
    table = runs()
    is_small = (table["N"] < 2e8) & (table["D"] < 1e10)
    is_large = (table["N"] > 9e7) & (table["D"] > 1e10)
    apart = table[np.where(table["arm"] == "adamw", is_small, is_large)]
    found = analysis.compare_arms(apart, arm="arm", resamples=0)
    assert not found.scales["inside"].any() and not found.crossover["inside"]
    assert answer_in_words(found).startswith(
        "These runs do not tell whether muon is better than adamw: no two runs share N, D"
    )
