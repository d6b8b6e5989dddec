"""What a recipe's compute is worth in another's: known multipliers, floors, and what is not known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.arms.comparison import ArmComparison
from scalinglab.analysis.arms.multiplier import in_words, verdicts
from scalinglab.analysis.arms.sentences import needed
from scalinglab.analysis.decisions.optimum import best_split, compute_multiplier
from scalinglab.analysis.intervals.end_errors import log_end_errors
from scalinglab.analysis.intervals.spread import quantiles

pytestmark = pytest.mark.usefixtures("untested_sharing")

LAW = analysis.LAWS["chinchilla"]
BASE = np.array([1.8, 480.0, 0.35, 2100.0, 0.37])
N, D = (x.ravel() for x in np.meshgrid(np.geomspace(3e7, 3e9, 6), np.geomspace(1e9, 2e11, 5)))


def worth(multiplier: float, floor: float = 0.0) -> np.ndarray:
    """A recipe that does with C what the baseline does with `multiplier` times that."""
    E, A, alpha, B, beta = BASE
    return np.array(
        [E + floor, A * multiplier ** (-alpha / 2), alpha, B * multiplier ** (-beta / 2), beta]
    )


def runs(candidate: np.ndarray, noise: float = 0.0005, largest: float = np.inf) -> pd.DataFrame:
    """Two recipes on one grid, the candidate up to a size."""
    rng, tables = np.random.default_rng(0), []
    for arm, params in (("a", BASE), ("b", candidate)):
        loss = LAW.predict(params, {"N": N, "D": D})[0]
        loss = loss * np.exp(noise * rng.standard_normal(len(N)))
        table = pd.DataFrame({"arm": arm, "N": N, "D": D, "seed": 0, "loss": loss})
        tables.append(table if arm == "a" else table[table["N"] <= largest])
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def saving() -> ArmComparison:
    """With a recipe that is worth 1.3 times the compute."""
    return analysis.compare_arms(runs(worth(1.3)), resamples=100)


def test_a_known_multiplier_is_found_at_the_best_splits(saving) -> None:
    found = saving
    inside = found.multipliers[found.multipliers["inside"]]
    assert set(inside["floor"]) == {"own", "one"} and (inside["split"] == "best").all()
    assert inside["multiplier"].to_numpy() == pytest.approx(1.3, rel=0.05)
    assert (inside["multiplier_lower"] < 1.33).all() and (inside["multiplier_upper"] > 1.27).all()
    said = found.verdicts.set_index("C").loc[sorted(set(inside["C"])), "verdict"]
    assert (said == "saves").all()
    assert "b saves compute" in found.report()
    back = analysis.compare_arms(runs(worth(1.3)), between=["b", "a"], resamples=40)
    assert "costs" in set(back.verdicts["verdict"]) and "saves" not in set(back.verdicts["verdict"])


def test_along_the_ladder_the_largest_measured_compute_has_the_baseline_inside_too() -> None:
    """The baseline needs more than C: at the largest C of the runs it had left its own range."""
    sizes = np.geomspace(3e7, 3e9, 9)
    line = pd.concat(
        pd.DataFrame(
            {
                "arm": arm,
                "N": sizes,
                "D": 20 * sizes,
                "loss": LAW.predict(params, {"N": sizes, "D": 20 * sizes})[0],
            }
        )
        for arm, params in (("a", BASE), ("b", worth(1.3)))
    )
    found = analysis.compare_arms(line, resamples=0, shared=["E", "alpha", "beta"])
    table = found.multipliers
    assert set(table["split"]) == {"ladder"}
    largest, top = table.loc[table["inside"], "C"].max(), found.ladder.top
    assert top / 1.3 / 1.5 < largest < top
    assert needed(found) and f"C = {largest:.3g}" in needed(found)


def test_beyond_the_floor_a_multiplier_is_infinite_and_counted() -> None:
    law_loss = LAW.predict(worth(1.0, -0.2), {"N": np.array([1e12]), "D": np.array([1e14])})[0]
    assert np.isinf(compute_multiplier(LAW, BASE[None], law_loss, 6e26)).all()
    found = analysis.compare_arms(runs(worth(1.0, -0.2)), resamples=100, budgets=[1e27])
    own = found.multipliers.set_index("floor").loc["own"]
    assert np.isinf(own["multiplier"]) and own["censored"] > 0.5
    assert np.isinf(own["multiplier_upper"])
    assert "unbounded" in found.report()


def test_a_loss_that_is_not_known_has_no_multiplier() -> None:
    loss = np.array([np.nan, 2.5])
    found = compute_multiplier(LAW, np.stack([BASE, BASE]), loss, 1e21)
    assert np.isnan(found[0]) and np.isfinite(found[1])


def test_the_multiplier_of_a_loss_at_its_own_best_split_is_one() -> None:
    size, tokens = best_split(LAW, BASE[None], 1e21)
    loss = LAW.predict(BASE, {"N": size, "D": tokens})[0]
    assert compute_multiplier(LAW, BASE[None], loss, 1e21) == pytest.approx(1, rel=1e-5)


def interval(lower: float, upper: float, error: float = 0.0) -> dict[str, float]:
    """A row of multipliers, whose ends are off by an error."""
    ends = {"multiplier_lower": lower, "multiplier_upper": upper}
    return {"C": 1e20, "multiplier": 1.2, **ends, "lower_error": error, "upper_error": error}


@pytest.mark.parametrize("count", [100, 200, 1000])
def test_an_interval_that_ends_at_one_is_no_verdict_with_few_resamples_or_many(count) -> None:
    rng, said = np.random.default_rng(count), []
    for _ in range(80):  # true lower end: exactly 1
        draws = np.exp(0.3 * (1.96 + rng.standard_normal(count)))
        low, high = quantiles(draws, 0.95)
        errors = log_end_errors(draws, 0.95)
        row = interval(low, high) | {"lower_error": errors[0], "upper_error": errors[1]}
        said.append(verdicts(pd.DataFrame([row])).iloc[0])
    assert np.mean([one["verdict"] == "cannot tell" for one in said]) > 0.9
    assert np.mean([one["near"] for one in said]) > 0.8


def test_the_error_of_an_end_is_that_of_a_bootstrap_of_the_draws() -> None:
    rng = np.random.default_rng(0)
    draws = np.exp(rng.standard_normal(400))
    again = np.log(np.quantile(rng.choice(draws, (4000, 400)), (0.025, 0.975), axis=1))
    assert log_end_errors(draws, 0.95) == pytest.approx(again.std(1), rel=0.15)
    unbounded = np.where(draws > np.quantile(draws, 0.9), np.inf, draws)
    assert log_end_errors(unbounded, 0.95)[0] == pytest.approx(again.std(1)[0], rel=0.15)
    assert log_end_errors(unbounded, 0.95)[1] == np.inf
    assert log_end_errors(np.array([np.inf, np.nan]), 0.95) == (0.0, 0.0)


def test_about_as_many_unbounded_draws_as_the_level_leaves_out_give_no_verdict() -> None:
    """Of a true share of 2.4 % the upper end was finite, and "costs", three times in five."""
    said = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        draws = 0.8 * np.exp(0.05 * rng.standard_normal(1000))
        draws[rng.random(1000) < 0.024] = np.inf
        low, high = quantiles(draws, 0.95)
        errors = log_end_errors(draws, 0.95)
        row = interval(low, high) | {"lower_error": errors[0], "upper_error": errors[1]}
        said.append(verdicts(pd.DataFrame([row])).iloc[0]["verdict"])
    assert np.mean([one == "cannot tell" for one in said]) > 0.7 and "saves" not in said
    sure = interval(1.5, 30.0) | {"lower_error": 0.01, "upper_error": np.inf}
    assert verdicts(pd.DataFrame([sure])).iloc[0]["verdict"] == "saves"


def test_far_from_one_few_resamples_are_enough() -> None:
    for lower, upper, said in ((1.1, 1.3, "saves"), (0.7, 0.9, "costs"), (0.9, 1.2, "cannot tell")):
        (row,) = verdicts(pd.DataFrame([interval(lower, upper, 0.03)])).to_dict("records")
        assert row["verdict"] == said == in_words(row) and not row["near"]
    edge, wide = interval(1.02, 2.56, 0.03), interval(0.7, 2.56, 0.03)
    for other, near in ((edge, True), (interval(1.1, 2.56, 0.03), True), (wide, False)):
        (row,) = verdicts(pd.DataFrame([edge, other])).to_dict("records")
        assert row["verdict"] == "cannot tell" and row["near"] == near
        assert in_words(row) == ("narrowly saves" if near else "cannot tell")


def test_floors_that_disagree_tell_nothing() -> None:
    row = interval(1.1, 1.3)
    other = row | {"floor": "one", "multiplier_lower": 0.9}
    (said,) = verdicts(pd.DataFrame([row | {"floor": "own"}, other])).to_dict("records")
    assert said["verdict"] == "cannot tell" and not said["agree"]
    (said,) = verdicts(pd.DataFrame([row | {"floor": "own"}, row])).to_dict("records")
    assert said["verdict"] == "saves" and said["agree"]


def test_without_best_splits_arms_are_compared_along_the_ladder() -> None:
    table = runs(worth(1.3))
    table["D"] = 20 * table["N"]
    for arm, params in (("a", BASE), ("b", worth(1.3))):
        rows = table["arm"] == arm
        columns = {name: table.loc[rows, name].to_numpy() for name in ("N", "D")}
        table.loc[rows, "loss"] = LAW.predict(params, columns)[0]
    ladder = analysis.compare_arms(table, resamples=0, shared=["alpha", "beta", "E"])
    assert set(ladder.multipliers["split"]) == {"ladder"}
    assert set(ladder.multipliers["floor"]) == {"one"}
    top = ladder.multipliers[ladder.multipliers["C"] == ladder.scales["C"][0]]
    assert top["multiplier"].to_numpy() == pytest.approx(ladder.scales["speed_up"][0])
    assert "the runs do not tell the best splits" in ladder.report()


def test_the_range_ends_where_either_arm_does(saving) -> None:
    short = analysis.compare_arms(runs(worth(1.3), largest=5e8), resamples=20)
    point = {"N": np.array([2e9]), "D": np.array([4e10])}
    assert saving.result.measured.beyond(point)[0] == 1
    assert short.result.measured.beyond(point)[0] > 2


def test_two_arms_of_the_same_runs_save_nothing() -> None:
    table = runs(worth(1.0), noise=0.0)
    table["loss"] = table.groupby(["N", "D"])["loss"].transform("first")
    found = analysis.compare_arms(table, arm="arm", resamples=20)
    assert set(found.verdicts["verdict"]) == {"cannot tell"}
    (row,) = verdicts(pd.DataFrame([interval(1 + 1e-9, 1 + 2e-9)])).to_dict("records")
    assert row["verdict"] == "cannot tell"
