"""The sweeps of arXiv:2503.04715: exponents of its released code, and the regret of its law."""

import numpy as np
import pandas as pd
import pytest

import analysis


@pytest.fixture(scope="module")
def sweeps(public_data) -> pd.DataFrame:
    runs = pd.read_csv(public_data / "steplaw" / "dense_lr_bs_loss.csv")
    cell = runs.N.astype(str) + "/" + runs.D.astype(str)
    best = runs["smooth loss"].groupby(cell).transform("min")
    return runs.assign(cell=cell, batch=2048.0 * runs.bs, excess=runs["smooth loss"] / best - 1)


def _regret(sweeps: pd.DataFrame, lr: pd.Series, batch: pd.Series) -> float:
    """Mean excess loss of the runs nearest to a law's choice, one of each sweep."""
    away = np.log(sweeps.lr / lr) ** 2 + np.log(sweeps.batch / batch) ** 2
    return sweeps.excess[away.groupby(sweeps.cell).idxmin()].mean()


def test_the_exponents_of_the_released_code_are_reproduced(sweeps):
    good = sweeps[sweeps.excess <= 0.0025]
    assert len(good) == 129
    options = {"objective": "least_squares", "resamples": 200, "cluster": "cell"}
    lr = analysis.fit("best_lr", good, **options)
    batch = analysis.fit("best_batch", good, **options)
    assert lr.params["a"] == pytest.approx(-0.766, abs=1e-3)
    assert lr.params["b"] == pytest.approx(0.197, abs=1e-3)
    assert batch.params["e"] == pytest.approx(0.612, abs=1e-3)
    assert not lr.interval("b")[0] < 0.307 < lr.interval("b")[1]  # the printed one


def test_the_regret_of_the_published_law_is_beaten(sweeps):
    N, D = sweeps.N.astype(float), sweeps.D.astype(float)
    published = _regret(sweeps, 1.79 * N**-0.713 * D**0.307, 0.58 * D**0.571)
    assert published == pytest.approx(0.00096, abs=1e-5)
    good = sweeps[sweeps.excess <= 0.0025]
    lr = analysis.fit("best_lr", good, resamples=0).predict(sweeps).lr
    batch = analysis.fit("best_batch", good, resamples=0).predict(sweeps).batch
    assert _regret(sweeps, lr, batch) < published
