"""The law of pools of quality: its own case of one pool, its parameters found again."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.quality_pools import quality_pools_law
from scalinglab.scaling.errors import UserError

TRUE = {"d": 1.2, "a": 9.0, "tau": 1.5, "utility.best": 0.16, "utility.rest": 0.11}
POOLS = ["best", "rest"]


def runs(parts=(1.0, 0.25, 0.0), sizes=(1e5, 4e5, 3e5)):
    """Each pool by itself and both together, of several lengths."""
    rows = [
        {"D": D, "U": U, "part.best": best, "part.rest": 1 - best}
        for best, U in zip(parts, sizes, strict=True)
        for D in np.geomspace(3e4, 6e6, 8)
    ]
    return pd.DataFrame(rows)


def losses(table):
    law = quality_pools_law(POOLS)
    values = np.array([[TRUE[name] for name in law.names]])
    return law.predict(values, law.read(table))[0]


@pytest.mark.parametrize("seen", [0.3, 1.0, 1.7, 4.0, 6.25])
def test_one_pool_by_itself_is_the_law_of_one(seen):
    D, U = np.array([seen * 1e6]), np.array([1e6])
    one = LAWS["quality_quantity"].predict(np.array([[1.5, 40.0, 0.2, 3.0]]), {"D": D, "U": U})
    law = quality_pools_law(["only"])
    table = pd.DataFrame({"D": D, "U": U, "part.only": 1.0})
    assert law.predict(np.array([[1.5, 40.0, 3.0, 0.2]]), law.read(table)) == pytest.approx(one)


def test_equal_pools_mix_by_the_mean_of_their_decayed_utilities():
    """Theorem 1 of the paper: half-lives as many times as long as there are pools."""
    U, n = 1e6, 3.5e6
    exponent = 0.0
    for k in range(4):
        mean = np.mean([TRUE[f"utility.{p}"] * 0.5 ** (k / (2 * TRUE["tau"])) for p in POOLS])
        low, high = (U if k else 1.0) * max(k, 1), min((k + 1) * U, n)
        exponent += mean * np.log(high / low)
    table = pd.DataFrame({"D": [n], "U": [U], "part.best": [0.5], "part.rest": [0.5]})
    assert losses(table)[0] == pytest.approx(TRUE["d"] + TRUE["a"] * np.exp(-exponent))


def test_it_finds_its_parameters_again():
    table = runs()
    rng = np.random.default_rng(0)
    noisy = losses(table) * np.exp(rng.normal(0, 5e-4, len(table)))
    result = analysis.fit(quality_pools_law(POOLS), table.assign(loss=noisy), resamples=0, seed=0)
    for name in ("tau", "utility.best", "utility.rest"):
        assert result.params[name] == pytest.approx(TRUE[name], rel=0.25), name
    ahead = runs(parts=(0.6,), sizes=(2e5,))  # a share that was not fitted
    assert result.predict(ahead)["loss"].to_numpy() == pytest.approx(losses(ahead), rel=5e-3)


def test_no_pool_is_no_law():
    with pytest.raises(UserError, match="needs one pool"):
        quality_pools_law([])
