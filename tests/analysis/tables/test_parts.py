"""Columns that parts of the network bring, and what dense networks have in their place."""

from __future__ import annotations

import pytest
import torch

from scalinglab import analysis
from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.trainer.trainer import train
from scalinglab.scaling.records.claim import Claim


def test_dense_networks_in_a_table_of_mixtures_have_one_expert(make_run, outputs):
    torch.set_num_threads(1)
    moe = {"name": "moe", "experts": 7, "top_k": 2, "shared": 1, "granularity": 2}
    for changes in ({}, {"model.feed_forward": moe}, {"model.loops": 2}):
        claim = Claim.acquire(make_run({"tokens": 640, **changes}), 60.0)
        assert train([claim], {}, ExecutionConfig()) == "done"
    runs = analysis.load(outputs, n_count="n_active").set_index("n_total", drop=False)
    dense, mixture = runs[runs["experts"] == 1], runs[runs["experts"] == 7].iloc[0]
    assert sorted(dense["loops"]) == [1, 2] and mixture["loops"] == 1
    assert (dense["active_share"] == 1).all() and (dense["granularity"] == 1).all()
    assert mixture["active_share"] == pytest.approx(3 / 8) and mixture["active_experts"] == 3
    assert mixture["n_active"] == mixture["N"] < mixture["n_matmul"]
    assert mixture["router_dropped"] >= 0 and dense["router_dropped"].isna().all()
    again = dense[dense["loops"] == 2].iloc[0]
    assert again["n_active"] > again["n_matmul"]
