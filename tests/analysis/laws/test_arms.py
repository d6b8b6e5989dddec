import pandas as pd
import pytest

from scalinglab import analysis


@pytest.fixture
def two_arms(made_by):
    base, _ = made_by("chinchilla", noise=0.002)
    better = base.assign(loss=base.loss - 0.1)
    return pd.concat([base.assign(recipe="base"), better.assign(recipe="new")], ignore_index=True)


def test_shared_parameters_are_fitted_once_and_the_others_for_each_arm(two_arms):
    result = analysis.fit(
        "chinchilla", two_arms, arm="recipe", shared=["alpha", "beta", "A", "B"], resamples=200
    )
    assert set(result.params) == {"A", "alpha", "B", "beta", "E[base]", "E[new]"}
    gain = result.draws["E[base]"] - result.draws["E[new]"]
    assert gain.quantile(0.025) < 0.1 < gain.quantile(0.975)
    assert result.params["alpha"] == pytest.approx(0.34, abs=0.02)


def test_arms_without_anything_shared_are_separate_fits(two_arms):
    both = analysis.fit("chinchilla", two_arms, arm="recipe", resamples=0)
    alone = analysis.fit("chinchilla", two_arms[two_arms.recipe == "new"], resamples=0)
    assert both.params["alpha[new]"] == pytest.approx(alone.params["alpha"], rel=1e-5)


def test_a_fit_by_arms_is_read_back_and_predicts(two_arms, tmp_path):
    result = analysis.fit("chinchilla", two_arms, arm="recipe", shared=["alpha"], resamples=20)
    result.save(tmp_path / "fit.json")
    again = analysis.read_fit(tmp_path / "fit.json")
    pd.testing.assert_frame_equal(again.predict(two_arms), result.predict(two_arms))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"arm": "recipes"}, "arm: the table has no column 'recipes'"),
        ({"arm": "recipe", "shared": ["gamma"]}, "shared: chinchilla has no parameter 'gamma'"),
        ({"shared": ["alpha"]}, "shared= needs arm="),
    ],
)
def test_a_wrong_arm_is_named(two_arms, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        analysis.fit("chinchilla", two_arms, **options)
