"""Nested filters as pools, and the best of them as the law has it."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.best_filter import best_filter, nested_pools
from scalinglab.analysis.laws.quality_pools import quality_pools_law
from scalinglab.scaling.errors import UserError

SIZES = {"strict": 1e5, "lax": 4e5, "all": 2e6}
TRUE = {"d": 1.0, "a": 8.0, "tau": 0.8, "utility.strict": 0.17, "utility.lax": 0.16}
TRUE["utility.all"] = 0.155


def losses(table):
    law = quality_pools_law([*SIZES])
    values = np.array([[TRUE[name] for name in law.names]])
    return law.predict(values, law.read(table))[0]


def test_what_a_filter_adds_is_a_pool_of_its_own():
    table = nested_pools(SIZES)
    assert table.loc["strict"].tolist() == [1, 0, 0, 1e5]
    assert table.loc["lax"].tolist() == [0.25, 0.75, 0, 4e5]
    assert table.filter(like="part.").sum(axis=1).tolist() == pytest.approx([1, 1, 1])


def test_the_best_filter_grows_with_compute():
    """A strict one first; once it is repeated, a laxer one."""
    table = nested_pools(SIZES)
    points = pd.concat([table.assign(D=D) for D in np.geomspace(3e4, 1e7, 7)], ignore_index=True)
    noise = np.exp(np.random.default_rng(0).normal(0, 3e-4, len(points)))
    runs = points.assign(loss=losses(points) * noise)
    result = analysis.fit(quality_pools_law([*SIZES]), runs, resamples=8, starts=16, seed=0)
    chosen = {}
    for D in (1e5, 1e7):
        found = best_filter(result, SIZES, D).set_index("filter")
        chosen[D] = found.index[found["best"]].item()
        assert chosen[D] == found.index[losses(table.assign(D=D)).argmin()]
        assert found.loc[chosen[D], "best_in"] > 0.5
        assert found["epochs"].tolist() == [D / U for U in SIZES.values()]
    assert chosen == {1e5: "strict", 1e7: "all"}


def test_filters_that_are_not_nested_are_refused():
    with pytest.raises(UserError, match="each of which keeps more"):
        nested_pools({"a": 1e5, "b": 1e5})
