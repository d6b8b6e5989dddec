import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def sweep(curved: float = 0.0) -> pd.DataFrame:
    """Bowls around a learning rate and a batch that follow power laws, or bend away from them."""
    N, D, lr, batch = (
        g.ravel()
        for g in np.meshgrid(
            [1e8, 3e8, 1e9],
            [3e9, 2e10, 1e11],
            2.0 ** np.arange(-14, -5),
            2.0 ** np.arange(15, 23),
        )
    )
    bend = curved * np.log(D / 2e10) ** 2
    best_lr, best_batch = 1.8 * N**-0.7 * D**0.3 * np.exp(bend), 0.6 * D**0.57
    away = np.log(lr / best_lr) ** 2 + np.log(batch / best_batch) ** 2
    return pd.DataFrame({"N": N, "D": D, "lr": lr, "batch": batch, "loss": 2.5 + 0.01 * away})


@pytest.fixture(scope="module")
def laws():
    return analysis.lr_batch(sweep(), resamples=0)


@pytest.fixture(scope="module")
def regret(laws) -> pd.DataFrame:
    return analysis.held_out_regret(laws)


def test_laws_that_hold_cost_little_where_they_were_not_fitted(regret):
    table = regret
    assert len(table) == 9 and table.regret.mean() < 0.001
    assert table.constant.mean() > 5 * table.regret.mean()
    true = 1.8 * table.N**-0.7 * table.D**0.3
    np.testing.assert_allclose(table.lr, true, rtol=0.3)


def test_what_was_seen_does_not_help_the_held_out_cell():
    """The regret of a cell is that of laws fitted without it, not of the whole fit."""
    bent = sweep(curved=0.3)
    laws = analysis.lr_batch(bent, resamples=0)
    table = analysis.held_out_regret(laws).set_index(["N", "D"])
    others = bent[(bent.N != 1e9) | (bent.D != 1e11)]
    chosen = analysis.lr_batch(others, resamples=0).predict(pd.DataFrame({"N": [1e9], "D": [1e11]}))
    assert table.loc[(1e9, 1e11), "lr"] == pytest.approx(chosen.lr[0])
    assert table.regret.mean() > laws.regret().mean()


def test_the_constant_pair_is_the_best_of_the_other_cells(laws, regret):
    table, runs = regret.iloc[0], laws.sweep
    others = runs[(runs.N != table.N) | (runs.D != table.D)]
    pair = others.groupby(["lr", "batch"]).excess.mean().idxmin()
    own = runs[(runs.N == table.N) & (runs.D == table.D)].set_index(["lr", "batch"])
    assert table.constant == pytest.approx(own.loc[pair, "excess"])


def test_too_few_cells_are_refused():
    few = sweep().query("D == 3e9")
    with pytest.raises(ValueError, match="3 different .N, D.: held-out regret needs 4"):
        analysis.held_out_regret(analysis.lr_batch(few.assign(D=few.D * few.N / 1e8), resamples=0))


def test_published_sweeps_cost_a_tenth_of_a_per_cent(public_data):
    runs = pd.read_csv(public_data / "steplaw" / "dense_lr_bs_loss.csv").astype({"N": float})
    runs = runs.assign(batch=2048.0 * runs.bs, loss=runs["smooth loss"])
    table = analysis.held_out_regret(analysis.lr_batch(runs, resamples=0))
    assert len(table) == 17 and table.regret.mean() < 0.0015 < table.constant.mean()
