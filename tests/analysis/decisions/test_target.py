import dataclasses

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.target import extrapolation_deviations


@pytest.fixture(scope="module")
def fitted(made_by):
    return analysis.fit("chinchilla", made_by("chinchilla", noise=0.003)[0], resamples=100)


@pytest.mark.parametrize(
    ("text", "of", "at", "within"),
    [
        ("loss at C=1e22 within 0.5%", "loss", {"C": 1e22}, 0.005),
        ("loss at N=1e9 D=2e10", "loss", {"N": 1e9, "D": 2e10}, None),
        ("loss at N = 1e9, D = 2e10 within 0.02", "loss", {"N": 1e9, "D": 2e10}, 0.02),
        ("N at C=1e22 within 20 %", "N", {"C": 1e22}, 0.2),
        ("alpha within 5%", "alpha", {}, 0.05),
        ("E", "E", {}, None),
    ],
)
def test_a_target_is_a_sentence(text, of, at, within):
    assert analysis.read_target(text) == analysis.Target(of, at, within)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "loss",
        "loss at",
        "loss at 1e22",
        "loss at C=much",
        "loss at C=-1",
        "loss at N=1e9",
        "N at N=1e9 D=1e9",
        "alpha at C=1e22",
        "loss at C=1e22 within",
        "loss at C=1e22 within 0%",
    ],
)
def test_what_cannot_be_read_says_how_it_is_said(text):
    with pytest.raises(ValueError, match="loss at C=1e22 within 0.5%|is no positive number"):
        analysis.read_target(text)


def test_values_are_those_of_the_fit(fitted):
    best = analysis.allocate(fitted, 1e20).table.iloc[0]
    assert analysis.read_target("loss at C=1e20").estimate(fitted)["value"] == pytest.approx(
        best.loss
    )
    known = analysis.read_target("N at C=1e20").estimate(fitted)
    assert (known["value"], known["lower"], known["upper"]) == pytest.approx(
        (best.N, best.N_lower, best.N_upper)
    )
    assert analysis.read_target("alpha").estimate(fitted)["lower"] == pytest.approx(
        fitted.interval("alpha")[0]
    )
    with pytest.raises(ValueError, match="no parameter 'gamma'"):
        analysis.read_target("gamma").estimate(fitted)


def test_the_interval_of_a_negative_parameter_has_its_sign(fitted):
    turned = dataclasses.replace(
        fitted,
        params=fitted.params | {"alpha": -0.3},
        draws=fitted.draws.assign(alpha=-fitted.draws["alpha"]),
    )
    known = analysis.read_target("alpha").estimate(turned)
    assert (known["lower"], known["upper"]) == pytest.approx(turned.interval("alpha"))


def test_beyond_the_range_the_law_is_doubted_too(fitted):
    near, far = (analysis.read_target(f"loss at C={C}") for C in (1e19, 1e25))
    np.testing.assert_allclose(np.exp(near.log_draws(fitted)), near.draws(fitted))
    assert np.std(far.log_draws(fitted)) > np.std(np.log(far.draws(fitted)))
    ways = extrapolation_deviations(fitted, np.array([1e8, 1e12]), np.array([1e10, 1e13]), 101)
    assert (ways[:, 0] == 0).all() and (ways[1:, 1] != 0).all() and (ways[0] == 0).all()
    doubted = fitted.predict(pd.DataFrame({"N": [1e12], "D": [1e13]}), level=0.95)
    assert np.log(doubted.upper / doubted.lower)[0] > 2 * ways[:, 1].std()


def test_a_tolerance_of_compute_is_what_that_compute_is_worth(fitted):
    at = analysis.read_target("loss at C=1e20 within 5% of compute")
    assert at.of_compute and at.within == 0.05
    lost = analysis.allocate(fitted, [1e20 / 1.05, 1e20, 1e20 * 1.05]).table["loss"].to_numpy()
    assert at.tolerance(fitted) == pytest.approx((lost[0] - lost[2]) / 2 / lost[1])
    assert analysis.read_target("loss at C=1e20 within 1%").tolerance(fitted) == 0.01
    assert analysis.read_target("loss at C=1e20").tolerance(fitted) is None


@pytest.mark.parametrize("of", ["N", "D"])
def test_a_size_so_far_off_wastes_the_compute_that_was_named(fitted, of):
    tolerance = analysis.read_target(f"{of} at C=1e20 within 5% of compute").tolerance(fitted)
    best = analysis.allocate(fitted, 1e20).table.iloc[0]
    off = [1 + tolerance, 1 - tolerance]
    sizes = [best.N * t if of == "N" else best.N / t for t in off]
    splits = pd.DataFrame({"N": sizes, "D": [1e20 / 6 / N for N in sizes]})
    wasted = analysis.loss_left(fitted, splits)["wasted"]
    assert wasted.max() == pytest.approx(0.05, abs=0.01)


def test_a_parameter_has_no_tolerance_of_compute():
    with pytest.raises(ValueError, match="alpha costs no compute"):
        analysis.read_target("alpha within 5% of compute")
