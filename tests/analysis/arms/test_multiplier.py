"""What a recipe's compute is worth in another's: known multipliers, floors, and what is not known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.arms.comparison import ArmComparison
from scalinglab.analysis.arms.multiplier import verdicts
from scalinglab.analysis.decisions.optimum import best_split, compute_multiplier

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
    back = analysis.compare_arms(runs(worth(1.3)), between=["b", "a"], resamples=100)
    assert "costs" in set(back.verdicts["verdict"]) and "saves" not in set(back.verdicts["verdict"])


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


def test_floors_that_disagree_tell_nothing() -> None:
    row = {"C": 1e20, "multiplier": 1.2, "multiplier_lower": 1.1, "multiplier_upper": 1.3}
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
    short = analysis.compare_arms(runs(worth(1.3), largest=5e8), resamples=100)
    point = {"N": np.array([2e9]), "D": np.array([4e10])}
    assert saving.result.measured.beyond(point)[0] == 1
    assert short.result.measured.beyond(point)[0] > 2
