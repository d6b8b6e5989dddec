import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def test_noise_is_pooled_over_sizes():
    rng = np.random.default_rng(0)
    runs = pd.DataFrame({"N": np.repeat([1e6, 1e7], 200), "seed": np.tile(np.arange(200), 2)})
    runs["loss"] = np.where(runs.N == 1e6, 4, 3) * np.exp(0.01 * rng.standard_normal(400))
    assert analysis.seed_noise(runs) == pytest.approx(0.01, rel=0.1)


def test_no_repeats_no_noise():
    assert analysis.seed_noise(pd.DataFrame({"N": [1, 2], "seed": [0, 0], "loss": [3, 2]})) is None


def test_a_table_without_seeds_is_refused():
    with pytest.raises(ValueError, match="needs column 'seed'"):
        analysis.seed_noise(pd.DataFrame({"N": [1], "loss": [3]}))


@pytest.mark.parametrize("column", ["recipe", "optimizer", "arm", "_arm", "schedule"])
def test_two_recipes_are_no_repeats_of_one_another(column):
    runs = pd.DataFrame(
        {
            "N": [1, 1, 2, 2],
            "seed": [0, 1, 0, 1],
            "loss": [3.0, 3.1, 2.0, 2.1],
            column: ["a", "b", "a", "b"],
        }
    )
    assert analysis.seed_noise(runs) is None
    repeats = runs.assign(seed=runs.seed + 1, loss=runs.loss * np.exp(0.01))
    both = analysis.seed_noise(pd.concat([runs, repeats]))
    assert both == pytest.approx(0.01 / np.sqrt(2))


def test_rows_of_one_seed_are_no_repeats_whatever_tells_them_apart():
    runs = pd.DataFrame({"N": [1, 1], "D": 1, "seed": 0, "loss": [3.0, 3.1]})
    assert analysis.seed_noise(runs) is None


def test_repeats_of_runs_whose_recipe_nobody_told_are_still_known():
    runs = pd.DataFrame({"N": [1, 1], "seed": [0, 1], "loss": [3.0, 3.1], "recipe": np.nan})
    assert analysis.seed_noise(runs) == analysis.seed_noise(runs.drop(columns="recipe"))
