"""The best shares of pools: where they can be worked out, under caps, and with intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.best_mixture import best_mixture, caps_of
from scalinglab.analysis.laws.mixing import mixing_law
from scalinglab.scaling.errors import UserError

# Two targets, each of which a token of its own pool helps four times as much as one of the other.
TRUE = {"E": 1.0, "A": 1.0, "gamma": 0.4}


@pytest.fixture(scope="module")
def laws():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([1, 1], 24)
    runs = pd.DataFrame(shares, columns=["share.a", "share.b"])
    found = {}
    for own, other in ("ab", "ba"):
        law = mixing_law([own, other], sizes=False)
        params = np.array([[(TRUE | {f"worth.{other}": 0.25})[n] for n in law.names]])
        loss = law.predict(params, law.read(runs))[0] * np.exp(rng.normal(0, 1e-3, 24))
        found[own] = analysis.fit(law, runs.assign(loss=loss), resamples=30, starts=8)
    return found


def shares_of(best):
    return best.shares.set_index("pool")["share"].to_dict()


def test_two_targets_alike_share_evenly(laws):
    best = best_mixture(laws)
    assert shares_of(best)["a"] == pytest.approx(0.5, abs=0.05)
    row = best.shares.iloc[0]
    assert row["share_lower"] <= row["share"] <= row["share_upper"]
    assert best.loss == pytest.approx(best.losses["loss"].mean())


def test_one_target_takes_its_own_pool_up_to_its_cap(laws):
    assert shares_of(best_mixture({"a": laws["a"]}))["a"] == pytest.approx(1, abs=1e-6)
    capped = best_mixture(laws, weights={"a": 1}, caps={"a": 0.3})
    assert shares_of(capped) == pytest.approx({"a": 0.3, "b": 0.7}, abs=1e-6)


def test_no_mixture_on_a_grid_is_better(laws):
    best = best_mixture(laws, weights={"a": 0.7, "b": 0.3})
    a = np.linspace(0, 1, 201)
    grid = pd.DataFrame({"share.a": a, "share.b": 1 - a})
    mean = 0.7 * laws["a"].predict(grid)["loss"] + 0.3 * laws["b"].predict(grid)["loss"]
    assert best.loss <= mean.min() + 1e-9
    assert shares_of(best)["a"] == pytest.approx(a[mean.argmin()], abs=0.01)


def test_caps_by_epochs():
    caps = caps_of({"a": 100, "b": 1_000}, 4, 1_000)
    assert caps == {"a": 0.4, "b": 1.0}
    with pytest.raises(UserError, match=r"10,000 tokens are more than 4 epochs of all pools"):
        caps_of({"a": 100, "b": 1_000}, 4, 10_000)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weights": {"c": 1}}, r"weights has 'c'; there are a, b"),
        ({"caps": {"x": 1}}, r"caps has 'x'; there are a, b"),
        ({"caps": {"a": 0.2, "b": 0.3}}, r"caps sum to 0\.5: the shares"),
    ],
)
def test_mistakes_are_named(laws, keys, message):
    with pytest.raises(UserError, match=message):
        best_mixture(laws, **keys)
