import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.intervals.resample import Sample, draw


def _sample(n=40, free=3, left=0.9, clusters=None, noise=0.0, size=0.01):
    residual = size * np.random.default_rng(0).standard_normal(n)
    cluster = None if clusters is None else np.arange(n) % clusters
    return Sample(np.zeros(n), residual, free, left, cluster, np.full(n, noise))


def test_clusters_stay_together():
    sample = _sample(clusters=8)
    for method in ("weights", "clusters"):
        draws = draw(sample, method, 5, seed=0)
        weights = draws.counts[:, draws.group]
        for c in range(8):
            assert np.ptp(weights[:, sample.cluster == c], axis=1).max() == 0


def test_weights_are_spread_for_the_parameters_that_narrowed_the_residuals():
    """Mean 1, and a variance that makes up for what the fit took."""
    counts = draw(_sample(n=10, left=0.5), "weights", 20_000, seed=0).counts
    assert counts.mean() == pytest.approx(1, abs=0.02)
    assert counts.var() == pytest.approx(2, rel=0.05)


def test_errors_are_not_below_the_known_noise():
    sample = _sample(noise=0.05)
    for method in ("weights", "residual"):
        error = draw(sample, method, 400, seed=0).targets - sample.fitted
        assert np.sqrt(np.mean(error**2)) == pytest.approx(0.05, rel=0.05)


def test_a_fit_that_meets_its_points_still_has_the_known_noise(made_by):
    runs, _ = made_by("power_plus_constant", noise=1e-5)
    known, unknown = (
        analysis.fit("power_plus_constant", runs, noise=n, resamples=200) for n in (0.005, None)
    )
    assert np.ptp(known.interval("L_inf")) > 20 * np.ptp(unknown.interval("L_inf"))


def test_clustered_points_give_wider_intervals(made_by):
    """Five checkpoints of one run share the run's luck; taking them for five runs is wrong."""
    grid, _ = made_by("chinchilla")
    runs = grid.loc[grid.index.repeat(5)].reset_index(drop=True)
    rng = np.random.default_rng(2)
    luck = np.repeat(0.01 * rng.standard_normal(36), 5)
    runs["loss"] *= np.exp(luck + 0.001 * rng.standard_normal(180))
    runs["cluster"] = np.repeat(np.arange(36), 5)
    by_cluster = analysis.fit("chinchilla", runs, resamples=400)
    by_row = analysis.fit("chinchilla", runs.drop(columns="cluster"), resamples=400)
    assert (by_cluster.clusters, by_row.clusters) == (36, 180)
    assert np.ptp(by_cluster.interval("alpha")) > 1.5 * np.ptp(by_row.interval("alpha"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["clean", "heavy", "heteroscedastic", "clustered"])
def test_intervals_cover_the_truth(made_by, kind):
    grid, params = made_by("chinchilla")
    grid = pd.concat([grid] * 3, ignore_index=True)
    hits = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        noise = 0.005 * rng.standard_normal(len(grid))
        if kind == "heavy":
            noise = 0.003 * rng.standard_t(3, len(grid))
        elif kind == "heteroscedastic":
            noise *= np.where(grid.N < grid.N.median(), 2, 0.5)
        elif kind == "clustered":
            noise = 0.005 * rng.standard_normal(36)[np.arange(len(grid)) % 36] + 0.3 * noise
        runs = grid.assign(loss=grid.loss * np.exp(noise))
        if kind == "clustered":
            runs["cluster"] = np.arange(len(grid)) % 36
        result = analysis.fit("chinchilla", runs, resamples=300, seed=seed)
        inside = {p: result.interval(p)[0] <= v <= result.interval(p)[1] for p, v in params.items()}
        hits.append(inside)
    cover = pd.DataFrame(hits).mean()
    assert cover.between(0.9, 0.995).all(), cover
