"""Resamples of many rows from an expansion are those of refits, or refits are made."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.fitting import best_fit as fits
from scalinglab.analysis.fitting import expansion
from scalinglab.analysis.fitting.expansion import LEAST_DRAWS, LEAST_ROWS, NEAR, from_expansion
from scalinglab.analysis.intervals.resample import draw

TRUTH = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2000.0, "beta": 0.37}


def surface(rows, noise, heavy=False):
    rng = np.random.default_rng(0)
    n = np.exp(rng.uniform(np.log(1e7), np.log(3e9), rows))
    d = n * np.exp(rng.uniform(np.log(2), np.log(300), rows))
    loss = TRUTH["E"] + TRUTH["A"] / n ** TRUTH["alpha"] + TRUTH["B"] / d ** TRUTH["beta"]
    error = rng.standard_t(3, rows) if heavy else rng.standard_normal(rows)
    table = pd.DataFrame({"N": n, "D": d, "loss": loss * np.exp(noise * error)})
    return table.assign(arm=np.where(rng.random(rows) < 0.5, "a", "b"))


def power(rows, noise):
    rng = np.random.default_rng(0)
    x = np.exp(rng.uniform(np.log(1e6), np.log(1e9), rows))
    loss = (1.5 + 60 / x**0.25) * np.exp(noise * rng.standard_normal(rows))
    return pd.DataFrame({"N": x, "loss": loss})


CASES = {
    "chinchilla": ("chinchilla", surface(8_000, 0.01), "weights", {}),
    "hardly any noise": ("chinchilla", surface(8_000, 1e-4), "weights", {}),
    "heavy tails": ("chinchilla", surface(8_000, 0.01, heavy=True), "weights", {}),
    "rows": ("chinchilla", surface(8_000, 0.01), "rows", {"fixed": {"beta": 0.37}}),
    "residuals": ("chinchilla", surface(8_000, 0.01), "residual", {}),
    "known noise": ("chinchilla", surface(8_000, 0.01), "weights", {"noise": 0.02}),
    "squares": ("chinchilla", surface(8_000, 0.01), "weights", {"objective": "least_squares"}),
    "one side": ("chinchilla", surface(8_000, 0.01), "weights", {"objective": "asymmetric"}),
    "priors": ("chinchilla", surface(8_000, 0.01), "weights", {"priors": {"alpha": (0.35, 0.01)}}),
    "clusters": (
        "chinchilla",
        surface(8_000, 0.01),
        "clusters",
        {"cluster": np.arange(8_000) // 4},
    ),
    "power law": ("power_plus_constant", power(8_000, 0.02), "weights", {"x": "N"}),
}


def case(law, table, method, options, count=LEAST_DRAWS):
    """A best fit, its resamples, and what refits to the last digit say of them."""
    fitted = fits.best_fit(law, table, fits.FitOptions(**options))
    draws = draw(fitted.sample, method, count, 0, fitted.misfit.prior)
    truth = fits.minimise(
        replace(fitted.misfit, draws=(draws,)),
        np.repeat(fitted.best.coordinates, count, axis=0),
        *fitted.misfit.space.limits,
        damping=1e-4,
        tolerance=1e-12,
    ).coordinates
    return fitted, draws, truth


def held(fitted, draws, places=None):
    """Share of the resamples that an expansion settles."""
    places = fitted.best.coordinates if places is None else places
    return from_expansion(fitted.misfit, places, draws)[1].mean()


def nothing_holds(misfit, places, draws):
    return np.empty((len(draws), places.shape[1])), np.zeros(len(draws), bool)


@pytest.mark.parametrize("name", CASES)
def test_resamples_end_where_refits_end(name):
    fitted, draws, truth = case(*CASES[name])
    found, holds = from_expansion(fitted.misfit, fitted.best.coordinates, draws)
    assert holds.mean() > 0.95
    off = (np.abs(found - truth) / truth.std(axis=0))[holds]
    assert off.max() < NEAR
    assert np.sqrt(np.mean(off**2)) < NEAR / 10


def test_a_bend_that_resamples_leave_is_left_to_refits():
    # Of few rows that scatter much, resamples go farther than the law is a parabola.
    fitted, draws, truth = case("chinchilla", surface(LEAST_ROWS, 0.2), "weights", {})
    _, holds = from_expansion(fitted.misfit, fitted.best.coordinates, draws)
    assert not holds.all()
    (found,) = fits.refit(fitted, draws)
    assert (np.abs(found - truth) / truth.std(axis=0)).max() < NEAR


def test_the_law_itself_refuses_places_that_an_expansion_is_wrong_about(monkeypatch):
    # As if the law were something else around the best fit: its bend is measured falsely.
    fitted, draws, truth = case(*CASES["chinchilla"])
    derivatives = expansion._derivatives

    def bent(misfit, u):
        residual, jacobian = derivatives(misfit, u)
        moved = u - fitted.best.coordinates[0]
        return residual, jacobian * (1 + 3 * moved.sum())

    assert held(fitted, draws) > 0.95
    monkeypatch.setattr(expansion, "_derivatives", bent)
    found, holds = from_expansion(fitted.misfit, fitted.best.coordinates, draws)
    off = (np.abs(found - truth) / truth.std(axis=0)).max(axis=1)
    assert (off > 2 * NEAR).any()
    assert not holds[off > 2 * NEAR].any()


def test_open_parameters_bounds_and_few_rows_are_left_to_refits():
    fitted, draws, _ = case("chinchilla", surface(8_000, 0.01), "weights", {})
    best = fitted.best.coordinates
    assert held(fitted, draws, np.concatenate([best, best + 0.1])) == 0
    assert held(fitted, draws.some(slice(0, LEAST_DRAWS - 1))) == 0
    near_bound = {"bounds": {"alpha": (0.01, 0.3495)}}
    fitted, draws, _ = case("chinchilla", surface(8_000, 0.01), "weights", near_bound)
    assert held(fitted, draws) == 0


def test_intervals_of_a_fit_are_those_without_expansions(monkeypatch):
    table = surface(6_000, 0.01)
    options = {"resamples": 120, "arm": "arm", "shared": ["E"]}
    ours = analysis.fit("chinchilla", table, **options).draws.to_numpy()
    monkeypatch.setattr(fits, "from_expansion", nothing_holds)
    refitted = analysis.fit("chinchilla", table, **options).draws.to_numpy()
    assert not np.array_equal(ours, refitted)  # or the expansion was not used
    ends = [np.quantile(found, (0.025, 0.5, 0.975), axis=0) for found in (ours, refitted)]
    assert (np.abs(ends[0] - ends[1]) < 0.01 * np.ptp(ends[1], axis=0)).all()
