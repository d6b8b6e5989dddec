"""Five small runs of arXiv:2403.08540 predict a large one, and losses the error on its tasks."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS


@pytest.fixture(scope="module")
def runs(public_data) -> pd.DataFrame:
    table = pd.read_csv(public_data / "gadre" / "gadre_models.csv")
    return table.rename(columns={"loss_c4_val": "loss", "err_avg": "error"})


def test_it_is_chinchilla_with_one_exponent(made_by):
    columns = LAWS["overtrained"].read(made_by("chinchilla")[0])
    E, A, B, alpha = 1.7, 400.0, 900.0, 0.3
    ours = np.array([[E, A * 6 ** (alpha / 2), B * 6 ** (alpha / 2), alpha / 2]])
    chinchilla = LAWS["chinchilla"].predict(np.array([[E, A, alpha, B, alpha]]), columns)
    np.testing.assert_allclose(LAWS["overtrained"].predict(ours, columns), chinchilla)


@pytest.mark.parametrize("corpus", ["c4_original", "rpj"])
def test_five_small_runs_predict_a_large_one(runs, corpus):
    runs = runs[runs.dataset_name == corpus]
    optimal, longer = (runs.tok_mult == 20) & (runs.N < 1e9), (runs.tok_mult == 320)
    small = runs[optimal | (longer & (runs.N < 2e7))]
    assert len(small) == 5
    result = analysis.fit("overtrained", small, resamples=0)
    large = runs[runs.N > 1e9]
    assert result.predict(large).loss.to_numpy() == pytest.approx(large.loss.to_numpy(), rel=0.01)


@pytest.mark.parametrize("corpus", ["c4_original", "rpj"])
def test_error_follows_loss(runs, corpus):
    runs = runs[runs.dataset_name == corpus]
    result = analysis.fit("task_error", runs, resamples=0)
    predicted = result.predict(runs).error
    assert np.abs(predicted - runs.error).mean() < 0.004
    assert result.diagnosis.agree > 0.5
