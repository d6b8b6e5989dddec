import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.tables.points import read_points
from scalinglab.scaling.records.fingerprint import EQUAL_NUMBERS


@pytest.fixture
def runs(made_by):
    return made_by("chinchilla")[0]


def _with(runs, column, row, value):
    changed = runs.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[row, column] = value
    return changed


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda r: r.iloc[:0], "empty table"),
        (lambda r: r.to_dict(), "must be a pandas DataFrame, not dict"),
        (lambda r: r.drop(columns="D"), r"needs column 'D' \(D: training tokens.*has N, loss"),
        (lambda r: _with(r, "loss", 3, np.nan), "first is nan in row 3 .exclude="),
        (lambda r: _with(r, "N", 3, np.nan), "first is nan in row 3 .exclude="),
        (lambda r: _with(r[r.D > r.D.min()], "N", 31, np.nan), "first is nan in row 31 .exclude="),
        (lambda r: r.assign(N=np.nan), "'N' .model size in parameters. is empty"),
        (lambda r: _with(r, "loss", 3, 0.0), "'loss' must hold positive.*first is 0.0 in row 3"),
        (lambda r: _with(r, "N", 5, -1.0), "'N' must hold positive.*first is -1.0 in row 5"),
        (lambda r: _with(r, "N", 5, "7B"), "'N' must hold positive.*first is 7B in row 5"),
        (lambda r: r[r.N == r.N.max()], "'N' has the one value 3e[+]09 in every point"),
        (lambda r: r.iloc[[0, 7, 14]], "5 free parameters .* only 3 different points"),
        (lambda r: r.assign(fingerprint=["a", "b"] * 18), "trained by different code"),
        (lambda r: r.assign(status="diverged"), "every row has status 'diverged'"),
    ],
)
def test_bad_input_gets_one_clear_sentence(runs, spoil, sentence):
    with pytest.raises(ValueError, match=sentence):
        analysis.fit("chinchilla", spoil(runs))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"columns": {"M": "N"}}, "reads no 'M', only N, D, loss"),
        ({"columns": {"N": "params"}}, "needs column 'params'"),
        ({"x": "N"}, "chinchilla has no x"),
        ({"noise": -0.1}, "noise must be positive"),
        ({"weights": "w"}, "weights: the table has no column 'w'"),
        ({"cluster": "trunk"}, "cluster: the table has no column 'trunk'"),
        ({"resample": "jackknife"}, "'jackknife' is not one of weights"),
        ({"resample": "clusters"}, "needs a column 'cluster'"),
        ({"level": 95}, "level=95 must lie between 0 and 1"),
        ({"starts": 0}, "starts=0 must be at least 1"),
        ({"resamples": -1}, "resamples=-1"),
        ({"starts": pd.DataFrame({"E": [1.0]})}, "no column for A, alpha, B, beta"),
    ],
)
def test_a_wrong_option_is_named(runs, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        analysis.fit("chinchilla", runs, **options)


def test_a_law_in_one_variable_wants_to_know_which(runs):
    with pytest.raises(ValueError, match="say which with x='N', 'D' or 'C'"):
        analysis.fit("power", runs)


def test_runs_of_code_that_makes_the_same_numbers_are_fitted_together(runs):
    old, new = next(iter(EQUAL_NUMBERS.items()))
    assert analysis.fit("chinchilla", runs.assign(fingerprint=[old, new] * 18), resamples=0)


def test_fingerprints_mix_when_told(runs):
    mixed = runs.assign(fingerprint=["a", "b"] * 18)
    assert analysis.fit("chinchilla", mixed, resamples=0, mix_fingerprints=True).points == 36


def test_diverged_runs_are_censored_and_counted(runs):
    diverged = runs.head(2).assign(status="diverged", loss=np.nan)
    result = analysis.fit("chinchilla", pd.concat([runs, diverged]), resamples=0)
    assert result.excluded == {"diverged (censored)": 2}
    assert "2 rows: diverged (censored)" in result.report()


def test_noise_is_taken_from_seed_repeats(runs):
    rng = np.random.default_rng(0)
    repeats = [
        runs.assign(seed=s, loss=runs.loss * np.exp(0.01 * rng.standard_normal(36)))
        for s in range(3)
    ]
    points = read_points(LAWS["chinchilla"], pd.concat(repeats))
    assert points.noise == pytest.approx(0.01, rel=0.15)


def test_noise_for_each_row_sharpens_the_quiet_ones(runs):
    points = read_points(LAWS["chinchilla"], runs.assign(s=[0.01, 0.04] * 18), noise="s")
    assert points.noise == pytest.approx(0.02)
    np.testing.assert_allclose(points.sharpness[:2], [2, 0.5])
