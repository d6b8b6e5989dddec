"""A parabola's lowest point is found, its interval covers, and an edge is no optimum."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.parabola import optimum, tuned

GRID = 0.01 * 2.0 ** np.arange(-3, 4)


def losses(x: np.ndarray, best: float, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 2.0 * np.exp(0.03 * np.log(x / best) ** 2 + noise * rng.standard_normal(len(x)))


@pytest.mark.parametrize("best", [0.006, 0.01, 0.0137])
def test_an_exact_parabola_gives_its_lowest_point(best) -> None:
    found = optimum(GRID, losses(GRID, best))
    assert found.x == pytest.approx(best) and found.loss == pytest.approx(2.0)
    assert found.curvature == pytest.approx(0.03) and found.edge == ""
    assert found.lower == pytest.approx(best) and found.upper == pytest.approx(best)


def test_the_excess_is_the_regret_of_another_value() -> None:
    found = optimum(GRID, losses(GRID, 0.01))
    assert found.excess(0.02) == pytest.approx(0.03 * np.log(2) ** 2)
    assert found.excess(found.x) == 0


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    x = np.tile(GRID, 3)
    covered = [
        found.lower <= 0.0137 <= found.upper
        for found in (optimum(x, losses(x, 0.0137, 0.002, seed)) for seed in range(100))
    ]
    assert 0.88 <= np.mean(covered) <= 1.0


def test_the_error_of_the_lowest_loss_is_what_repetition_shows() -> None:
    x = np.tile(GRID, 3)
    found = [optimum(x, losses(x, 0.01, 0.002, seed)) for seed in range(200)]
    spread = np.std([np.log(f.loss) for f in found])
    assert np.mean([f.noise for f in found]) == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize(("best", "edge"), [(1e-4, "lowest"), (10.0, "highest")])
def test_an_edge_of_the_grid_is_said_and_gives_no_interval(best, edge) -> None:
    found = optimum(GRID, losses(GRID, best))
    assert found.edge == edge and np.isnan(found.lower)
    assert f"is the {edge} of 7 values" in found.sentence("LR")
    assert "extend the grid" in found.sentence("LR")


def test_a_value_below_those_that_diverged_is_no_edge() -> None:
    """Beyond the largest stable LR there is nothing to extend to."""
    loss = np.where(GRID > 0.03, np.inf, losses(GRID, 0.05))
    found = optimum(GRID, loss)
    assert found.edge == "" and found.dropped == 2
    assert "2 runs diverged" in found.sentence("LR")


def test_a_loss_that_blows_up_bends_no_parabola() -> None:
    """SGD beyond its stable rates ended at 10 and 121 nats; below them it was a parabola."""
    wild = np.where(GRID > 0.03, 20.0, losses(GRID, 0.012))
    found = optimum(GRID, wild)
    assert found.x == pytest.approx(0.012) and found.loss == pytest.approx(2.0)
    assert found.span[1] == pytest.approx(0.02)


def test_the_lowest_stable_value_is_the_best_where_the_next_blows_up() -> None:
    found = optimum(GRID, np.where(GRID > 0.01, 20.0, losses(GRID, 0.1)))
    assert found.x == pytest.approx(0.01) and found.edge == ""


def test_few_losses_beyond_the_parabolas_three_widen_the_interval() -> None:
    """Five losses leave two: Student's distribution, whose 95 % are 2.2 times as wide."""
    covered = []
    for seed in range(200):
        found = optimum(GRID[1:6], losses(GRID[1:6], 0.0112, 0.002, seed))
        covered.append(found.lower <= 0.0112 <= found.upper)
    assert np.mean(covered) > 0.9


def test_three_points_give_no_interval_without_a_known_scatter() -> None:
    three = GRID[2:5]
    assert np.isnan(optimum(three, losses(three, 0.01)).lower)
    assert optimum(three, losses(three, 0.01), scatter=0.001).upper > 0.01


@pytest.mark.parametrize(("x", "message"), [([1, 2], "needs three values"), ([0, 1, 2], "above 0")])
def test_what_cannot_be_fitted_is_refused(x, message) -> None:
    with pytest.raises(ValueError, match=message):
        optimum(x, np.ones(len(x)))


def test_the_doubt_of_the_tuning_reaches_the_ladders_fit() -> None:
    """A law of tuned points is recovered, and is less sure where the tuning was less sure."""

    def sweep(noise: float) -> pd.DataFrame:
        rows = []
        for i, n in enumerate(np.geomspace(1e5, 1e7, 5)):
            for j, d in enumerate(np.geomspace(1e6, 1e8, 5)):
                lowest = 1.5 + 300 / n**0.5 + 400 / d**0.4
                for seed in range(2):
                    made = losses(GRID, 0.01, noise, 1000 * i + 10 * j + seed) / 2 * lowest
                    rows += [
                        {"N": n, "D": d, "lr": x, "loss": y, "seed": seed}
                        for x, y in zip(GRID, made, strict=True)
                    ]
        return pd.DataFrame(rows)

    sure, unsure = (tuned(sweep(noise)) for noise in (1e-4, 1e-2))
    assert (unsure["noise"] > 10 * sure["noise"]).all() and (sure["edge"] == "").all()
    assert sure["lr"].to_numpy() == pytest.approx(0.01, rel=0.02)
    widths = []
    for points in (sure, unsure):
        fit = analysis.fit("chinchilla", points, noise="noise", resamples=100, seed=0)
        low, high = fit.interval("alpha")
        widths.append(high - low)
        assert low <= 0.5 <= high
    assert widths[1] > 3 * widths[0]
