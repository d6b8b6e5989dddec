"""The published constants of arXiv:2202.01169, and the models that they were fitted to."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws.experts import effective_experts
from scalinglab.analysis.laws.routed import ROUTED


def _measured(public_data, part: str) -> pd.DataFrame:
    table = pd.read_parquet(public_data / "scalebench" / f"moe_{part}.parquet")
    names = {
        "dense_parameter_count": "n_active",
        "num_experts": "experts",
        "loss_validation": "loss",
    }
    return table.rename(columns=names)


def test_one_expert_counts_as_e_start_and_none_as_more_than_e_max():
    counted = effective_experts(np.array([1.0, 8, 1e9]), 1.847, 314.478)
    assert counted[0] == pytest.approx(1.847)
    assert counted[0] < counted[1] < counted[2] == pytest.approx(314.478, rel=1e-5)


def test_published_constants_give_the_published_losses(public_data):
    """Signs and the base of the logarithms: other ones are off by a factor."""
    runs = pd.concat(_measured(public_data, part) for part in ("train", "test"))
    params = np.array([[ROUTED.reference[name] for name in ROUTED.names]])
    error = ROUTED.predict(params, ROUTED.read(runs))[0] / runs.loss - 1
    assert np.abs(error).mean() < 0.03


def test_the_fit_beats_the_published_constants(public_data):
    """Three ways to route in one table: the fit lies between them."""
    runs = _measured(public_data, "train")
    result = analysis.fit("routed", runs, resamples=0)
    assert np.median(np.abs(result.residuals)) < 0.015
    assert result.diagnosis.agree > 0.9
    assert result.params["c"] > 0  # experts help larger models less
