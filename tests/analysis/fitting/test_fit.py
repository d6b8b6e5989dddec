from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def test_the_published_objective_is_reached(chinchilla_points):
    """Epoch's printed point has 1.018746e-3, the minimum is 1.018274e-3 (arXiv:2404.10102)."""
    result = analysis.fit("chinchilla", chinchilla_points, resamples=0)
    assert result.objective <= 1.018275e-3
    assert result.params["E"] == pytest.approx(1.81722, abs=1e-4)
    assert result.params["alpha"] == pytest.approx(0.34731, abs=1e-4)
    assert result.params["beta"] == pytest.approx(0.36717, abs=1e-4)
    assert result.diagnosis.agree > 0.9
    assert result.diagnosis.gradient < 1e-6


def test_bootstrap_errors_are_those_published(chinchilla_points):
    """SE: E .026, alpha .015, beta .021; A 124.6, B 1293 within 20 %, the others within 8 %."""
    result = analysis.fit("chinchilla", chinchilla_points, resamples=4000, resample="rows")
    errors = result.summary.standard_error
    for name, published, within in [
        ("E", 0.026, 0.08),
        ("alpha", 0.015, 0.08),
        ("beta", 0.021, 0.08),
        ("A", 124.6, 0.2),
        ("B", 1293, 0.2),
    ]:
        assert errors[name] == pytest.approx(published, rel=within), name


@pytest.mark.slow
def test_resamples_reach_what_a_full_search_reaches(chinchilla_points):
    from dataclasses import replace

    from scalinglab.analysis.fitting.best_fit import FitOptions, best_fit, refit
    from scalinglab.analysis.fitting.search import search
    from scalinglab.analysis.intervals.resample import draw

    fitted = best_fit("chinchilla", chinchilla_points, FitOptions())
    draws = draw(fitted.sample, "rows", 100, seed=1)
    [found] = refit(fitted, draws)
    starts = fitted.misfit.space.law.starts(fitted.points.columns, fitted.points.response, 64)
    for d in range(0, 100, 5):
        misfit = replace(fitted.misfit, weight=draws.counts[d].astype(float))
        reached = misfit(found[[d]], np.zeros(1, int), np.ones(1))[0][0]
        assert reached <= search(misfit, starts).solution.value.min() * (1 + 1e-6)


def test_same_data_and_seed_same_result(made_by):
    runs, _ = made_by("chinchilla", noise=0.005)
    fits = [analysis.fit("chinchilla", runs, resamples=50, seed=seed) for seed in (3, 3, 4)]
    first, again, other = fits
    pd.testing.assert_frame_equal(first.draws, again.draws)
    assert not first.draws.equals(other.draws)


def test_sets_of_resamples_in_one_batch_are_as_if_alone(made_by):
    from scalinglab.analysis.fitting.best_fit import FitOptions, best_fit, refit
    from scalinglab.analysis.intervals.draws import Draws
    from scalinglab.analysis.intervals.resample import draw

    runs, _ = made_by("chinchilla", noise=0.005)
    fitted = best_fit("chinchilla", runs, FitOptions(priors={"alpha": (0.3, 0.05)}))
    weighted = draw(fitted.sample, "weights", 20, 0, fitted.misfit.prior)
    moved = Draws(targets=draw(fitted.sample, "residual", 10, 1).targets)
    together = refit(fitted, weighted, moved)
    apart = [refit(fitted, draws)[0] for draws in (weighted, moved)]
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(together[0][:10], together[1])


def test_fixed_and_tied_parameters_are_obeyed(made_by):
    runs, params = made_by("chinchilla", noise=0.002)
    fixed = analysis.fit("chinchilla", runs, fixed={"E": params["E"]}, resamples=400)
    free = analysis.fit("chinchilla", runs, resamples=400)
    assert fixed.params["E"] == params["E"]
    assert np.ptp(fixed.interval("alpha")) < np.ptp(free.interval("alpha"))
    tied = analysis.fit("chinchilla", runs, tied={"beta": "alpha"}, resamples=0)
    assert tied.params["alpha"] == tied.params["beta"]
    assert tied.objective >= free.objective


def test_bounds_are_obeyed_and_reported(made_by):
    runs, _ = made_by("chinchilla", noise=0.002)
    result = analysis.fit("chinchilla", runs, bounds={"alpha": (0.4, 1)}, resamples=50)
    assert result.params["alpha"] == pytest.approx(0.4)
    assert result.diagnosis.at_bound == ("alpha",)


def test_a_prior_decides_what_the_points_do_not():
    x, rng = np.geomspace(1e15, 3e16, 6), np.random.default_rng(0)
    loss = (1.7 + (1e17 / x) ** 0.15) * np.exp(0.01 * rng.standard_normal(6))
    few = pd.DataFrame({"x": x, "loss": loss})
    alone = analysis.fit("power_plus_constant", few, resamples=300)
    helped = analysis.fit("power_plus_constant", few, priors={"L_inf": (1.7, 0.01)}, resamples=300)
    assert "L_inf" in alone.diagnosis.unidentified
    assert np.ptp(helped.interval("L_inf")) < 0.1 < np.ptp(alone.interval("L_inf"))
    assert np.ptp(helped.interval("L_inf")) > 0.02  # a prior is data: its own doubt stays


def test_weights_count_as_copies(made_by):
    runs, _ = made_by("chinchilla", noise=0.01)
    weighted = analysis.fit("chinchilla", runs, weights=np.r_[3.0, np.ones(35)], resamples=0)
    copied = analysis.fit("chinchilla", pd.concat([runs, runs.iloc[[0, 0]]]), resamples=0)
    assert weighted.objective == pytest.approx(copied.objective, rel=1e-9)


def test_outliers_move_huber_less_than_least_squares(made_by):
    runs, params = made_by("chinchilla", noise=0.002)
    runs.loc[[4, 17], "loss"] *= 1.3
    error = {
        name: abs(analysis.fit("chinchilla", runs, objective=name, resamples=0).params["E"] - 1.7)
        for name in ("huber_log", "least_squares")
    }
    assert error["huber_log"] < 0.3 * error["least_squares"]


def test_the_asymmetric_objective_follows_the_lower_edge(made_by):
    runs, _ = made_by("chinchilla")
    runs["loss"] *= np.exp(np.abs(0.02 * np.random.default_rng(0).standard_normal(len(runs))))
    middle, edge = (
        analysis.fit("chinchilla", runs, objective=name, resamples=0)
        for name in ("huber_log", "asymmetric")
    )
    assert np.mean(middle.residuals > 0) < 0.7 < np.mean(edge.residuals > 0)


def test_starts_of_ones_own_are_used(made_by):
    runs, params = made_by("chinchilla")
    result = analysis.fit("chinchilla", runs, starts=pd.DataFrame([params]), resamples=0)
    assert result.diagnosis.starts == 1


@pytest.mark.parametrize("law", ["chinchilla", "skaling", "data_constrained", "power"])
@pytest.mark.parametrize("count", [2, 7, 150])
def test_as_many_starts_as_asked_for(made_by, law, count):
    """Also of laws that guess their own: some of these, or more around them."""
    runs, params = made_by(law)
    x = {"x": "x"} if law == "power" else {}
    result = analysis.fit(law, runs, starts=count, resamples=0, **x)
    assert result.diagnosis.starts == count
    if count == 150:
        assert result.diagnosis.basins[0][0] < 1e-12


def test_arms_honour_a_number_of_starts(made_by):
    runs = pd.concat([made_by("skaling")[0].assign(recipe=r) for r in "ab"])
    result = analysis.fit("skaling", runs, arm="recipe", starts=12, resamples=0)
    assert result.diagnosis.starts == 12


def test_a_laws_own_priors_are_said_and_left_out_by_a_word():
    power = analysis.LAWS["power"]
    own = tuple(replace(p, prior=(0.2, 0.001)) if p.name == "a" else p for p in power.parameters)
    law = replace(power, parameters=own)
    points = pd.DataFrame({"N": np.geomspace(1e6, 1e9, 8)})
    points["loss"] = (1e13 / points.N) ** 0.076 * np.exp(0.1 * (-1.0) ** np.arange(8))
    known = analysis.fit(law, points, x="N", resamples=0)
    free = analysis.fit(law, points, x="N", resamples=0, priors="none")
    assert known.params["a"] == pytest.approx(0.2, abs=0.005)
    assert free.params["a"] == pytest.approx(0.076, abs=0.03)
    assert "a 0.2 +- 0.001 (the law's own; priors=none leaves them out)" in known.report()
    assert "priors" not in free.report()
