"""The mixing law: its gradient, a law that it made, and what the worths mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws.mixing import mixing_law
from scalinglab.scaling.errors import UserError

TRUE = {"E": 1.5, "A": 60.0, "alpha": 0.3, "B": 300.0, "beta": 0.33, "gamma": 0.25}
WORTHS = {"worth.b": 0.3, "worth.c": 2.0}


def swarm(rng, sizes=(1e5, 4e5, 1.6e6), tokens=(1e7, 4e7), mixtures=10):
    shares = rng.dirichlet([1, 1, 1], mixtures)
    rows = [(n, d, *s) for n in sizes for d in tokens for s in shares]
    return pd.DataFrame(rows, columns=["N", "D", "share.a", "share.b", "share.c"])


@pytest.mark.parametrize("sizes", [True, False])
def test_the_gradient_is_that_of_the_value(sizes):
    law = mixing_law(["a", "b", "c"], sizes)
    rng = np.random.default_rng(0)
    columns = law.read(swarm(rng))
    params = law.starts(columns, np.full(60, 3.0), 5)
    params[:, [law.names.index(n) for n in law.linear]] = rng.uniform(1, 9, (5, len(law.linear)))
    value, exact = law.jacobian(params, columns)
    stepped, by_step = law.complex_step(params, columns)
    np.testing.assert_allclose(value, stepped, rtol=1e-12)
    np.testing.assert_allclose(exact, by_step, rtol=1e-8, atol=1e-12)


def test_it_finds_the_law_that_made_its_points():
    law, rng = mixing_law(["a", "b", "c"]), np.random.default_rng(1)
    runs = swarm(rng)
    truth = np.array([[(TRUE | WORTHS)[name] for name in law.names]])
    loss = law.predict(truth, law.read(runs))[0] * np.exp(rng.normal(0, 5e-4, len(runs)))
    result = analysis.fit(law, runs.assign(loss=loss), resamples=0)
    for name, value in WORTHS.items():
        assert result.params[name] == pytest.approx(value, rel=0.1)
    ahead = swarm(np.random.default_rng(2), sizes=(6.4e6,), tokens=(1.6e8,))
    predicted = result.predict(ahead)["loss"]
    np.testing.assert_allclose(predicted, law.predict(truth, law.read(ahead))[0], rtol=0.01)


def test_tokens_of_a_pool_replace_those_of_another_by_their_worths():
    """At worth 2 half of the share of c does what the share of a does."""
    law = mixing_law(["a", "c"], sizes=False)
    params = {"E": 1.0, "A": 2.0, "gamma": 0.5, "worth.c": 2.0}
    rows = pd.DataFrame({"share.a": [0.8, 0.0], "share.c": [0.0, 0.4]})
    one, other = law.predict(np.array([[params[n] for n in law.names]]), law.read(rows))[0]
    assert one == pytest.approx(other)


def test_one_pool_is_no_mixture():
    with pytest.raises(UserError, match=r"needs two pools or more; there are: a"):
        mixing_law(["a"])
