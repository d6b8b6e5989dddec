import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def curve(C: float, N: np.ndarray, top: float, noise: np.ndarray | float = 0.0) -> pd.DataFrame:
    """An IsoFLOP curve that is a parabola in log N."""
    loss = np.exp(1.0 + 0.05 * (np.log(N) - np.log(top)) ** 2 + noise)
    return pd.DataFrame({"N": N, "C": C, "D": C / (6 * N), "loss": loss})


def sizes(top: float, below: float = 4, above: float = 4, count: int = 7) -> np.ndarray:
    return np.geomspace(top / below, top * above, count)


def test_a_parabola_gives_its_minimum_exactly():
    table = analysis.isoflop_minima(curve(1e19, sizes(2e8, 2, 6), 2e8), resamples=10).table
    assert table.N[0] == pytest.approx(2e8) and table.loss[0] == pytest.approx(np.e, rel=1e-2)
    assert table.refused[0] == ""


def test_the_interval_contains_the_truth_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), []
    for _ in range(100):
        points = pd.concat(
            [
                curve(C, sizes(top), top, 0.004 * rng.standard_normal(7))
                for C, top in ((1e18, 1e8), (1e19, 3e8), (1e20, 1e9))
            ]
        )
        row = analysis.isoflop_minima(points, resamples=200).table.iloc[1]
        hits.append(row.N_lower < 3e8 < row.N_upper)
    assert 0.88 <= np.mean(hits) <= 1


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (curve(1e19, sizes(2e8, 0.9, 6), 2e8), "falls towards the smallest size"),
        (curve(1e19, sizes(2e8, 6, 0.9), 2e8), "falls towards the largest size"),
        (curve(1e19, sizes(2e8, count=3), 2e8), "too few sizes near its least loss"),
        (curve(1e19, sizes(2e8), 2e8).assign(C=np.geomspace(1e19, 2e19, 7), b=1), "differ 2-fold"),
        (curve(1e19, sizes(2e8), 2e8, np.array([-0.06, 0, 0.08, -0.09, 0.08, 0, -0.06])), "only"),
    ],
)
def test_a_budget_without_a_minimum_inside_is_refused(points, why):
    budget = "b" if "b" in points else None
    found = analysis.isoflop_minima(points, budget=budget, resamples=200)
    assert why in found.table.refused[0] and np.isnan(found.table.N[0])
    assert found.drawn.shape == (201, 0)


def test_far_sizes_are_left_out():
    points = curve(1e19, sizes(2e8, 50, 50, 21), 2e8)
    assert analysis.isoflop_minima(points, resamples=0, reach=4).table.points[0] == 7
    with pytest.raises(ValueError, match="reach"):
        analysis.isoflop_minima(points, reach=0.5)


def test_budgets_are_told_apart_by_their_cost_or_by_a_column():
    points = pd.concat([curve(1e19, sizes(2e8), 2e8), curve(1.05e19, sizes(2e8), 2e8)])
    assert len(analysis.isoflop_minima(points, resamples=0).table) == 1
    named = points.assign(sweep=["a"] * 7 + ["b"] * 7)
    assert len(analysis.isoflop_minima(named, budget="sweep", resamples=0).table) == 2
    with pytest.raises(ValueError, match="need the column 'nope'"):
        analysis.isoflop_minima(points, budget="nope")
