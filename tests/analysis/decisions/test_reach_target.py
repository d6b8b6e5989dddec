import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def surface() -> pd.DataFrame:
    """A grid of runs with a little noise."""
    N, D = (g.ravel() for g in np.meshgrid([1e7, 3e7, 1e8, 3e8, 1e9], [2e9, 6e9, 2e10, 6e10, 2e11]))
    noise = np.exp(0.002 * np.random.default_rng(0).standard_normal(len(N)))
    loss = (1.7 + 400 / N**0.34 + 1800 / D**0.37) * noise
    return pd.DataFrame({"N": N, "D": D, "loss": loss, "cost": 6 * N * D})


WHOLE = surface()


@pytest.fixture
def laboratory():
    """Known runs, candidates, a way to measure them, and what was measured."""
    start = WHOLE[WHOLE.cost <= WHOLE.cost.quantile(0.4)]
    asked: list[int] = []

    def measure(rows: pd.DataFrame) -> pd.DataFrame:
        assert "loss" not in rows
        asked.extend(rows.index)
        return WHOLE.loc[[*start.index, *asked]]

    return start, WHOLE.drop(index=start.index).drop(columns="loss"), measure, asked


def test_it_stops_as_soon_as_the_target_is_known(laboratory):
    start, candidates, measure, asked = laboratory
    told: list[dict] = []
    target = analysis.read_target("loss at C=1e21 within 0.6%")
    found = analysis.reach_target(
        start, candidates, measure, target, each=2, resamples=100, tell=told.append
    )
    assert found.reached and found.history.half_width.iloc[-1] <= 0.006
    assert (found.history.half_width.iloc[:-1] > 0.006).all()
    assert 0 < len(asked) == len(set(asked)) <= 2 * (len(found.history) - 1)
    assert found.history.runs.iloc[-1] == len(start) + len(asked)
    assert found.history.spent.iloc[-1] == pytest.approx(WHOLE.cost[asked].sum())
    assert [row["runs"] for row in told] == found.history.runs.tolist()
    shown = found._repr_html_()
    assert f"after {len(told)} fits: reached" in shown and found.result.law.formula[:5] in shown
    full = analysis.fit("chinchilla", WHOLE, resamples=100)
    last = found.history.iloc[-1]
    assert last.lower < target.estimate(full)["value"] < last.upper


@pytest.mark.long
def test_by_worth_costs_less_than_chance(laboratory):
    start, candidates, _, _ = laboratory
    target = analysis.read_target("loss at C=1e21 within 0.6%")

    def spent(choose) -> float:
        asked: list[int] = []

        def measure(rows: pd.DataFrame) -> pd.DataFrame:
            asked.extend(rows.index)
            return WHOLE.loc[[*start.index, *asked]]

        found = analysis.reach_target(
            start, candidates, measure, target, choose=choose, each=2, resamples=50
        )
        return found.history.spent.iloc[-1]

    def at_random(seed: int):
        rng = np.random.default_rng(seed)
        return lambda result, left, budget: left.sample(min(2, len(left)), random_state=rng)

    assert spent(None) < 0.7 * np.median([spent(at_random(seed)) for seed in range(2)])


def test_the_budget_ends_it(laboratory):
    start, candidates, measure, asked = laboratory
    budget = 2 * candidates.cost.min()
    found = analysis.reach_target(
        start,
        candidates,
        measure,
        budget=budget,
        resamples=100,
        target=analysis.read_target("loss at C=1e21 within 0.001%"),
    )
    assert not found.reached and found.why == "the budget is spent"
    assert WHOLE.cost[asked].sum() <= budget


def test_candidates_run_out(laboratory):
    start, candidates, measure, asked = laboratory
    found = analysis.reach_target(
        start,
        candidates.iloc[:3],
        measure,
        analysis.read_target("alpha within 0.001%"),
        choose=lambda result, left, budget: left.iloc[:2],
        resamples=100,
    )
    assert found.why == "no candidate is left" and len(asked) == 3


def test_a_fit_that_new_runs_leave_without_intervals_ends_it(laboratory):
    start, candidates, _, _ = laboratory
    trunks = start.assign(cluster=start.N)  # too few for a surface
    target = analysis.read_target("loss at C=1e21 within 0.001%")
    found = analysis.reach_target(start, candidates, lambda rows: trunks, target, resamples=100)
    assert len(found.history) == 2 and np.isnan(found.history.half_width.iloc[-1])
    assert not found.reached and "only 0 resamples" not in found.why
    assert found.why.startswith(
        "the fit gives nothing to choose by; no intervals are given: they would"
    )
    assert found.why.endswith("add sizes or independent runs")


def test_a_target_must_say_how_well(laboratory):
    with pytest.raises(ValueError, match="end it with 'within 0.5%'"):
        analysis.reach_target(*laboratory[:3], analysis.read_target("alpha"))
