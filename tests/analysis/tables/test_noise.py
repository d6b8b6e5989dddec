import numpy as np
import pandas as pd
import pytest

import analysis


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
