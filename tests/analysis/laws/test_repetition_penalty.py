"""The loss of runs that repeat their tokens rises again."""

import numpy as np

from scalinglab.analysis.laws import LAWS

LAW = LAWS["repetition_penalty"]
PARAMS = np.array([[1.7, 400.0, 0.34, 1800.0, 0.37, 0.05, 0.8, 0.5]])


def test_without_repetition_it_is_chinchilla(made_by):
    runs, params = made_by("chinchilla")
    plain = [params[name] for name in ("E", "A", "alpha", "B", "beta")]
    values = np.array([[*plain, 0.05, 0.8, 0.5]])
    found = LAW.predict(values, LAW.read(runs.assign(U=runs["D"])))[0]
    np.testing.assert_allclose(found, runs["loss"])


def test_the_loss_turns_upward_and_sooner_in_a_larger_model():
    U, epochs = 1e9, np.geomspace(1, 1000, 400)
    turned = []
    for size in (1e7, 1e8, 1e9):
        columns = {"N": np.full(400, size), "D": U * epochs, "U": np.full(400, U)}
        loss = LAW.predict(PARAMS, columns)[0]
        turned.append(int(loss.argmin()))
        assert 0 <= loss.argmin() < 399 and loss[-1] > loss.min() * 1.05
    assert turned[0] > turned[1] > turned[2]
