import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.noise import seed_scatter


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


def repeated(cells: int, seeds: int = 2) -> pd.DataFrame:
    runs = pd.DataFrame({"N": np.repeat(np.geomspace(1e6, 1e7, cells), seeds)})
    rng = np.random.default_rng(3)
    return runs.assign(
        seed=np.tile(np.arange(seeds), cells),
        loss=4 * (runs.N / 1e6) ** -0.1 * np.exp(0.005 * rng.standard_normal(len(runs))),
    )


@pytest.mark.parametrize(
    ("cells", "seeds", "wrong"),
    [(8, 2, [3]), (8, 2, [0, 5]), (4, 3, [7]), (1, 6, [2])],
)
def test_a_wrong_run_is_named_and_no_noise(cells, seeds, wrong):
    runs = repeated(cells, seeds)
    clean = seed_scatter(runs)
    runs.loc[wrong, "loss"] *= 1.1
    scatter = seed_scatter(runs)
    named = {row for one in scatter.far for row in (one.row, *one.others)}
    assert not clean.far and len(scatter.far) == len(wrong) and set(wrong) <= named
    assert scatter.noise < 2 * clean.noise
    assert scatter.spare == clean.spare - len(wrong)
    assert "where repeats scatter by 0." in scatter.sentences(str)[0]


def test_repeats_that_scatter_widely_are_noise():
    rng = np.random.default_rng(0)
    runs = [repeated(12, 3) for _ in range(100)]
    heavy = [r.assign(loss=3 * np.exp(0.02 * rng.standard_t(4, len(r)))) for r in runs]
    assert np.mean([bool(seed_scatter(table).far) for table in heavy]) < 0.1
    pair = repeated(1, 2)
    pair.loc[0, "loss"] *= 1.1
    assert not seed_scatter(pair).far  # nothing tells what is usual
