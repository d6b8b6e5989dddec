"""The sweeps of arXiv:2503.04715: exponents of its released code, and the regret of its law."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


@pytest.fixture(scope="module")
def sweeps(public_data) -> pd.DataFrame:
    runs = pd.read_csv(public_data / "steplaw" / "dense_lr_bs_loss.csv").astype({"N": float})
    cell = runs.N.astype(str) + "/" + runs.D.astype(str)
    best = runs["smooth loss"].groupby(cell).transform("min")
    return runs.assign(cell=cell, batch=2048.0 * runs.bs, excess=runs["smooth loss"] / best - 1)


def test_both_are_fitted_to_a_sweep_and_judged_by_their_regret(sweeps):
    columns = {"loss": "smooth loss"}
    published = analysis.regret(
        sweeps, 1.79 * sweeps.N**-0.713 * sweeps.D**0.307, 0.58 * sweeps.D**0.571
    )
    assert published.mean() == pytest.approx(0.00096, abs=1e-5)
    assert len(published) == 17
    laws = analysis.lr_batch(sweeps, columns=columns, resamples=50)
    assert laws.lr.points == laws.batch.points == 129
    assert laws.lr.clusters == 17
    assert laws.regret().mean() < published.mean()
    assert len(laws.regret()) == 17
    assert f"mean {laws.regret().mean():.3%}" in laws.report()
    ahead = laws.predict(pd.DataFrame({"N": [1e9], "D": [1e11]}), level=0.95)
    assert ahead.lr_lower[0] < ahead.lr[0] < ahead.lr_upper[0]
    assert ahead.batch_lower[0] < ahead.batch[0] < ahead.batch_upper[0]


def test_a_bowl_is_found_at_its_bottom():
    """Sweeps whose loss is a bowl around the laws' own lr and batch."""
    N, D, lr, batch = (
        a.ravel()
        for a in np.meshgrid(
            [1e8, 3e8, 1e9],
            [3e9, 2e10, 1e11],
            2.0 ** np.arange(-14, -5, 0.5),
            2.0 ** np.arange(15, 23, 0.5),
        )
    )
    best_lr, best_batch = 1.8 * N**-0.7 * D**0.3, 0.6 * D**0.57
    away = np.log(lr / best_lr) ** 2 + np.log(batch / best_batch) ** 2
    sweep = pd.DataFrame({"N": N, "D": D, "lr": lr, "batch": batch, "loss": 2.5 + 0.01 * away})
    laws = analysis.lr_batch(sweep, resamples=0)
    assert laws._repr_html_().count("<table") == 2 and "largest" in laws._repr_html_()
    assert laws.lr.params["a"] == pytest.approx(-0.7, abs=0.05)
    assert laws.batch.params["e"] == pytest.approx(0.57, abs=0.05)
    assert laws.regret().max() < 0.002


def test_what_a_sweep_lacks_is_named(sweeps):
    with pytest.raises(ValueError, match="lr_batch needs column 'loss' .say columns={'loss'"):
        analysis.lr_batch(sweeps.drop(columns="loss"))
    with pytest.raises(ValueError, match="within=-1 must not be negative"):
        analysis.lr_batch(sweeps, within=-1)


def test_words_among_the_rates_are_refused_with_their_row() -> None:
    sweep = pd.DataFrame({"N": 1e6, "D": 1e8, "lr": ["0.1", "0.1 x"], "batch": 64, "loss": 3.0})
    with pytest.raises(ValueError, match="'lr' must hold numbers; row 1 has '0.1 x'"):
        analysis.lr_batch(sweep)
