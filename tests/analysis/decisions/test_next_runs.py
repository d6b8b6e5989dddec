import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.next_runs import (
    _after,
    _best,
    _greedy,
    _needed,
    _variances_after,
)

TRUE = dict(E=1.7, A=400.0, alpha=0.34, B=1800.0, beta=0.37)


def loss(N, D):
    return TRUE["E"] + TRUE["A"] / N ** TRUE["alpha"] + TRUE["B"] / D ** TRUE["beta"]


def grid(sizes, tokens, noise=0.003, seed=0) -> pd.DataFrame:
    N, D = (g.ravel() for g in np.meshgrid(sizes, tokens))
    wobble = np.exp(noise * np.random.default_rng(seed).standard_normal(len(N)))
    return pd.DataFrame({"N": N, "D": D, "loss": loss(N, D) * wobble, "cost": 6 * N * D})


@pytest.fixture(scope="module")
def fitted():
    points = grid(np.geomspace(1e7, 1e8, 4), np.geomspace(2e9, 2e10, 4))
    return analysis.fit("chinchilla", points, resamples=200)


@pytest.fixture(scope="module")
def candidates() -> pd.DataFrame:
    return grid([1e7, 1e8, 1e9], [2e9, 2e10, 2e11]).drop(columns="loss")


def test_each_run_narrows_the_target_and_the_forecast_of_that_is_fair(fitted, candidates):
    target = analysis.read_target("alpha")
    found = analysis.choose_next(fitted, target, candidates, most=3)
    assert len(found.table) == 3 and found.then < found.now
    assert (np.diff([found.now, *found.table.half_width]) < 0).all()
    assert repr(found) == (
        f"<NextRuns: 3 next runs: the target's interval is ±{found.now:.2%} now, and expected to be"
        f" ±{found.then:.2%} after them>"
    )
    assert found._repr_html_().count("<tr") == 4
    known = grid(np.geomspace(1e7, 1e8, 4), np.geomspace(2e9, 2e10, 4))
    made = grid(found.table.N.unique(), found.table.D.unique(), seed=1)
    made = made.merge(found.table[["N", "D"]], on=["N", "D"])
    again = analysis.fit("chinchilla", pd.concat([known, made]), resamples=200)
    assert found.then / 3 < target.estimate(again)["half_width"] < 3 * found.then


def test_a_run_that_tells_nothing_is_not_made(fitted):
    """Tokens at one size tell nothing about alpha that is worth more than another size does."""
    useless = pd.DataFrame({"N": [3e7] * 3, "D": [6e9] * 3, "cost": [1e30] * 3})
    useful = pd.DataFrame({"N": [1e9], "D": [2e10], "cost": [6 * 2e19]})
    both = pd.concat([useless, useful], ignore_index=True)
    found = analysis.choose_next(fitted, analysis.read_target("alpha"), both, most=1)
    assert found.table.N.tolist() == [1e9]


def test_the_budget_and_the_goal_end_the_choice(fitted, candidates):
    target = analysis.read_target("loss at C=1e21")
    few = analysis.choose_next(fitted, target, candidates, budget=candidates.cost.median())
    assert few.table.cost.sum() <= candidates.cost.median()
    whole = analysis.choose_next(fitted, target, candidates)
    goal = analysis.Target("loss", {"C": 1e21}, 1.001 * whole.table.half_width.iloc[1])
    ended = analysis.choose_next(fitted, goal, candidates)
    assert len(ended.table) <= 2 and ended.enough and not whole.enough
    assert analysis.choose_next(fitted, target, candidates, budget=1.0).table.empty


def test_what_pays_only_in_pairs_is_found():
    """Two runs that share a large unknown tell the target by their difference; a third, a bit."""
    rng = np.random.default_rng(0)
    unknown, target, own = rng.standard_normal((3, 20_000)) * [[10.0], [1.0], [1.7]]
    shared = np.cov([unknown + target, unknown, target + own, target])
    price, all_of_them = np.ones(3), np.ones(3, bool)
    first = _best(shared, 0.01, price, all_of_them)
    assert first in (0, 1)
    then = _best(_after(shared, first, 0.01), 0.01, price, np.arange(3) != first)
    assert {first, then} == {0, 1}
    assert _best(shared, 0.01, np.array([1.0, 100.0, 1.0]), all_of_them) == 2


def test_what_a_needed_run_tells_anyway_is_not_bought_beside_it():
    """A cheap run tells half of the target and is taken first; the dear one tells all of it."""
    half, rest = np.random.default_rng(0).standard_normal((2, 20_000))
    shared, price = np.cov([half, half + rest, half + rest]), np.array([1.0, 10.0])
    goal = 0.1 * shared[-1, -1]
    chosen = _greedy(shared, 0.01, price, np.inf, goal, None)
    assert chosen == [0, 1]
    kept = _needed(shared, 0.01, price, chosen, goal)
    assert kept == [1] and _variances_after(shared, 0.01, kept)[-1] <= goal


def test_a_run_just_beyond_does_not_settle_what_lies_far_beyond(fitted):
    target = analysis.read_target("loss at N=3e9 D=6e11")
    near, far = (
        analysis.choose_next(fitted, target, pd.DataFrame({"N": [N], "D": [D], "cost": [1.0]}))
        for N, D in ((1.2e8, 2.4e10), (3e9, 6e11))
    )
    assert near.now == far.now and near.then > 0.7 * near.now and far.then < 0.4 * far.now


def test_the_plan_for_a_goal_meets_it_for_no_more_than_one_after_the_other(fitted, candidates):
    free = analysis.choose_next(fitted, analysis.read_target("loss at C=1e21"), candidates)
    goal = 1.001 * free.table.half_width.iloc[3]
    plan = analysis.choose_next(fitted, analysis.Target("loss", {"C": 1e21}, goal), candidates)
    assert plan.enough and plan.table.cost.sum() <= free.table.cost.iloc[:4].sum()
    few = analysis.choose_next(
        fitted, analysis.Target("loss", {"C": 1e21}, goal), candidates, most=1
    )
    assert few.table.index.tolist() == plan.table.index[:1].tolist()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"N": [1e8], "D": [1e9]}), "need the column 'cost'"),
        (pd.DataFrame({"N": [1e8], "D": [1e9], "cost": [0.0]}), "'cost' must hold positive"),
        (pd.DataFrame({"N": [], "D": [], "cost": []}), "no candidates"),
    ],
)
def test_candidates_are_checked(fitted, table, message):
    with pytest.raises(ValueError, match=message):
        analysis.choose_next(fitted, analysis.read_target("alpha"), table)


def test_a_fit_without_resamples_cannot_choose(candidates, made_by):
    bare = analysis.fit("chinchilla", made_by("chinchilla")[0], resamples=0)
    with pytest.raises(ValueError, match="only 0 resamples"):
        analysis.choose_next(bare, analysis.read_target("alpha"), candidates)
