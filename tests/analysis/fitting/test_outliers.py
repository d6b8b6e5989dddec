"""A run far from the law is named, with what it changes and how to leave it out."""

from __future__ import annotations

import re
import shlex
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.fitting.far_residuals import outlying
from scalinglab.analysis.fitting.outliers import _headline


@pytest.fixture(scope="module")
def runs(made_by) -> pd.DataFrame:
    table, _ = made_by("chinchilla", noise=0.003)
    return table.assign(run_id=[f"r{i}" for i in range(len(table))])


def diverged(runs: pd.DataFrame, *rows: int, loss: float = 9.8) -> pd.DataFrame:
    table = runs.copy()
    table.loc[[*rows], "loss"] = loss
    return table


def named(result: analysis.Result) -> str:
    found = [text for text in result.warnings if "far from the law" in text]
    assert len(found) <= 1
    return "".join(found)


def test_a_diverged_run_with_a_finite_loss_is_named(runs) -> None:
    clean = analysis.fit("chinchilla", runs, resamples=100)
    result = analysis.fit("chinchilla", diverged(runs, 35), resamples=100)
    said = named(result)
    assert not named(clean)
    assert re.search(
        r"1 point lies .*run r35: 9.8 measured, 2.\d+ predicted, \d+ times the scatter", said
    )
    squares = {"resamples": 100, "objective": "least_squares"}
    said = named(analysis.fit("chinchilla", diverged(runs, 35), **squares))
    # At a round budget that was measured, by another run.
    before, after = re.search(
        r"the best N at C = 1e\+20 goes from (.*?\)) to (.*?\));", said
    ).groups()
    low, high = (
        [float(x) * {"M": 1e6, "B": 1e9}[unit] for x, unit in re.findall(r"([\d.]+)([MB])", t)[1:]]
        for t in (before, after)
    )
    assert high[1] / high[0] < low[1] / low[0]


def test_a_wrong_run_that_repeats_a_good_one_is_named_all_the_same(runs) -> None:
    repeats = runs.iloc[[6, 13, 20]].assign(seed=1, run_id=["twin", "wrong", "third"])
    table = pd.concat([runs.assign(seed=0), repeats], ignore_index=True)
    clean = analysis.fit("chinchilla", table, resamples=0)
    for shown in (table, table[~table["run_id"].isin(["twin", "third"])]):  # one pair alone, too
        wild = shown.assign(loss=shown["loss"] * np.where(shown["run_id"] == "wrong", 1.1, 1.0))
        assert "run wrong" in named(analysis.fit("chinchilla", wild, resamples=0))
    assert not named(clean) and not any("repeats it" in text for text in clean.warnings)


def test_the_noise_of_seeds_is_counted_without_a_wrong_run(runs) -> None:
    rng = np.random.default_rng(5)
    again = runs.assign(seed=1, run_id="again " + runs["run_id"])
    again["loss"] *= np.exp(0.003 * rng.standard_normal(len(again)))
    table = pd.concat([runs.assign(seed=0), again], ignore_index=True)
    clean = analysis.fit("chinchilla", table, resamples=0)
    table.loc[40, "loss"] *= 1.1
    result = analysis.fit("chinchilla", table, resamples=0)
    assert result.noise < 1.3 * clean.noise
    assert any("again r4" in text and "repeats it" in text for text in result.warnings)


def test_what_is_said_to_leave_it_out_does(runs) -> None:
    wild = diverged(runs, 4, 20)
    said = named(analysis.fit("chinchilla", wild, resamples=0))
    rule = re.search(r"exclude=(\[.*?\"\])", said)[1]
    result = analysis.fit("chinchilla", wild, exclude=eval(rule), resamples=0)  # as it is pasted
    assert result.params == analysis.fit("chinchilla", runs.drop([4, 20]), resamples=0).params
    assert rule == '["loss > 6"]' and "in a shell" not in said  # a shell reads the same word


def test_rows_that_no_bound_tells_from_the_others_are_an_element_each(runs) -> None:
    wild = diverged(runs, 4, 20)
    wild.loc[20, "loss"] = 0.5  # one above all others, one below
    said = named(analysis.fit("chinchilla", wild, resamples=0))
    (word,) = shlex.split(re.search(r"exclude=\[.*?\"\]", said)[0])
    assert word == "exclude=[run_id == 'r4',run_id == 'r20']"


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": lambda t: "it's " + t["run_id"]},
        {"run_id": lambda t: "one"},
        {"run_id": lambda t: t["run_id"].where(t.index != 35)},
    ],
)
def test_rows_without_names_of_their_own_are_told_by_their_numbers(runs, change) -> None:
    wild = diverged(runs, 35).assign(**change)
    said = named(analysis.fit("chinchilla", wild, resamples=0))
    rule = re.search(r"exclude=(\[.*?\])(?= leaves| \(in a shell)", said)[1]
    result = analysis.fit("chinchilla", wild, exclude=eval(rule), resamples=0)
    assert result.points == len(runs) - 1 and not named(result)


def test_other_laws_tell_how_far_predictions_go(made_by) -> None:
    x = np.geomspace(1e6, 1e9, 14)
    noise = np.exp(0.003 * np.random.default_rng(1).standard_normal(14))
    table = pd.DataFrame({"size": x, "loss": (1.7 + 400 / x**0.34) * noise})
    table.loc[12, "loss"] = 5.0
    said = named(analysis.fit("power_plus_constant", table, x="size", resamples=0))
    assert "row 12: 5 measured" in said and "the loss predicted at x = 1e+10 goes from" in said
    arms = pd.concat(
        [made_by("chinchilla", noise=0.003)[0].assign(arm=arm) for arm in ("a", "b")],
        ignore_index=True,
    )
    arms.loc[40, "loss"] = 9.8
    said = named(analysis.fit("chinchilla", arms, arm="arm", resamples=0))
    assert "row 40" in said and "root mean square" in said


def test_noise_and_wrong_laws_have_no_outliers() -> None:
    rng = np.random.default_rng(0)
    assert not outlying(0.01 * rng.standard_normal(10_000), 5).any()
    heavy = 0.01 * rng.standard_t(4, (400, 120))
    assert np.mean([outlying(residuals, 5).any() for residuals in heavy]) < 0.1
    assert not outlying(np.linspace(-1, 1, 40) ** 3, 5).any()  # a trend: the law is wrong
    few = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.3])
    assert not outlying(few, 5).any()  # a robust fit goes through five of them
    exact = np.zeros(30)
    exact[3] = 1.0
    assert np.flatnonzero(outlying(exact, 5)).tolist() == [3]


def test_a_wild_run_does_not_widen_the_law_beyond_the_points(runs) -> None:
    """Refits that leave it out miss it by much, wherever it lies: that says nothing of the law."""
    beyond = pd.DataFrame({"N": [runs["N"].max() * 1.2], "D": [runs["D"].max() * 1.2]})
    clean, wild = (
        analysis.fit("chinchilla", table, resamples=100).band(beyond, 0.95)
        for table in (runs, diverged(runs, len(runs) - 1))
    )
    height = [float(np.log(band["upper"] / band["lower"]).iloc[0]) for band in (clean, wild)]
    assert height[1] < 4 * height[0]


def test_the_fitted_range_ends_before_a_run_far_from_the_law(runs) -> None:
    """It says nothing of the law where it lies; it stays among the points of the fit."""
    beyond = runs.iloc[[-1]].assign(N=runs["N"].max() * 3, run_id="far", loss=9.8)
    table = pd.concat([runs, beyond], ignore_index=True)
    clean, wild = (analysis.fit("chinchilla", t, resamples=0) for t in (runs, table))
    assert "run far: 9.8 measured" in named(wild) and wild.points == clean.points + 1
    assert wild.ranges == clean.ranges and wild.measured == clean.measured


def test_a_run_that_changes_nothing_is_said_to_change_nothing(runs) -> None:
    said = named(analysis.fit("chinchilla", diverged(runs, 20), resamples=0, delta=1e-4))
    assert re.search(r"Leaving it out (does not|hardly) changes? the best N at C = \S+", said)
    assert "goes from" not in said and "exclude=" in said


def test_the_quoted_best_size_is_among_the_splits_of_an_allocation():
    """A law that falls again beyond ten million tokens a parameter has no best size there."""

    def loss(params, columns):
        ratio = np.log(columns["D"] / columns["N"])
        return np.where(ratio > np.log(1e8), 0.0, 1 + (ratio - np.log(20)) ** 2)[None]

    law = SimpleNamespace(columns=("N", "D"), predict=loss)
    ranges = {"N": (1e7, 3e9), "D": (1e9, 1e11)}
    unknown = SimpleNamespace(ends={})  # no run is known to have both
    words, ask, _ = _headline(SimpleNamespace(law=law, ranges=ranges, measured=unknown))
    (best,) = ask(np.zeros((1, 1)), SimpleNamespace(law=law))
    assert words == "the best N at C = 1e+21"
    assert best == pytest.approx(np.sqrt(1e21 / 6 / 20), rel=0.02)
