"""Nothing gives a confident number from nonsense: one clear sentence, or no interval and why."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


@pytest.fixture
def runs(made_by):
    return made_by("chinchilla", noise=0.004)[0]


def _spoilt(runs, column, value):
    changed = runs.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[2, column] = value
    return changed


REFUSED = {
    "loss is NaN": (lambda r: _spoilt(r, "loss", np.nan), "'loss' must hold positive.*row 2"),
    "loss is zero": (lambda r: _spoilt(r, "loss", 0.0), "'loss' must hold positive.*row 2"),
    "loss is negative": (lambda r: _spoilt(r, "loss", -2.0), "'loss' must hold positive.*row 2"),
    "loss is infinite": (lambda r: _spoilt(r, "loss", np.inf), "'loss' must hold positive.*inf"),
    "N is infinite": (lambda r: _spoilt(r, "N", np.inf), "'N' must hold positive.*inf in row 2"),
    "a word for a number": (lambda r: _spoilt(r, "D", "20B"), "'D' must hold positive.*20B"),
    "words for all": (lambda r: r.assign(N="7B"), "'N' must hold positive.*36 of 36"),
    "one size": (lambda r: r[r.N == r.N.min()], "'N' has the one value"),
    "one length": (lambda r: r.assign(D=1e10), "'D' has the one value"),
    "fewer points than parameters": (lambda r: r.iloc[[0, 8, 16]], "only 3 different points"),
    "no column": (lambda r: r.drop(columns="N"), "needs column 'N'"),
    "no rows": (lambda r: r.iloc[:0], "empty table"),
    "no rows and columns": (lambda r: pd.DataFrame(), "empty table"),
    "constant loss": (lambda r: r.assign(loss=2.5), "'loss' has the one value 2.5"),
    "few points, many times": (
        lambda r: pd.concat([r.iloc[[0, 8, 16]]] * 20),
        "only 3 different points",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_in_one_sentence(runs, case):
    spoil, sentence = REFUSED[case]
    with pytest.raises(ValueError, match=sentence) as refusal:
        analysis.fit("chinchilla", spoil(runs))
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


def test_as_many_points_as_parameters_have_no_intervals(runs):
    result = analysis.fit("chinchilla", runs.iloc[[0, 5, 14, 21, 33]], resamples=50)
    assert result.summary["lower"].isna().all()
    assert "no intervals are given" in " ".join(result.warnings)


def test_copied_rows_are_told(runs):
    """Each row ten times is no more known than once."""
    result = analysis.fit("chinchilla", pd.concat([runs] * 10), resamples=100)
    assert "324 rows repeat others to the last digit" in " ".join(result.warnings)
    once = analysis.fit("chinchilla", runs, resamples=100)
    assert np.ptp(result.interval("E")) > 0.7 * np.ptp(once.interval("E"))


def test_noise_alone_identifies_nothing():
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(15, 22, (2, 40)))
    noise = pd.DataFrame({"N": N, "D": D, "loss": np.exp(0.2 * rng.standard_normal(40))})
    result = analysis.fit("chinchilla", noise, resamples=100)
    assert {"alpha", "beta"} <= set(result.diagnosis.unidentified)
