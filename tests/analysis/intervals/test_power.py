"""What a comparison of arms detects is what it does detect, at the power that is said."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit

from scalinglab.analysis.intervals.power import (
    design_of,
    least_effect,
)
from scalinglab.analysis.tables.noise import seed_scatter

CELL = ["block", "N", "D", "lr"]


def planned(sizes: int = 3, seeds: int = 2, lrs: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"block": arm, "N": 1000 * 2**size, "D": 1e6, "lr": 0.01 * 2**lr, "seed": seed}
            for arm in ("a", "b")
            for size in range(sizes)
            for lr in range(lrs)
            for seed in range(seeds)
        ]
    )


def test_the_least_effect_is_found_four_times_out_of_five() -> None:
    noise, sizes, seeds = 0.01, 3, 4
    effect = least_effect(noise, sizes * seeds, sizes * (seeds - 1))
    rng = np.random.default_rng(0)
    runs = rng.normal(0, noise, (20_000, 2, sizes, seeds))
    pairs = runs[:, 1] - runs[:, 0] + effect
    left = pairs - pairs.mean(2, keepdims=True)
    freedom = sizes * (seeds - 1)
    error = np.sqrt((left**2).sum((1, 2)) / freedom / (sizes * seeds))
    found = pairs.mean((1, 2)) / error > stdtrit(freedom, 0.975)
    assert found.mean() == pytest.approx(0.8, abs=0.015)


def test_a_design_is_read_off_its_runs() -> None:
    design = design_of(planned(), "block", 0.005)
    assert design is not None
    assert (design.arms, design.sizes, design.seeds, design.trials) == (2, 3, 2, (3, 3))
    assert design.warnings == [] and design.least < design.least_at_a_size
    assert f"{design.least:.2%} of the loss" in design.sentence()
    assert "'not resolved'" in design.sentence()


def test_what_cannot_be_told_is_said() -> None:
    alone = design_of(planned(seeds=1), "block", 0.005)
    assert alone is not None and math.isinf(alone.least)
    assert "none, no seed is repeated" in alone.sentence()
    runs = planned()
    uneven = design_of(runs[(runs["block"] == "a") | (runs["lr"] < 0.03)], "block", 0.005)
    assert uneven is not None and "2 to 3 learning rates" in uneven.warnings[0]
    assert design_of(runs[runs["block"] == "a"], "block", 0.005) is None
    assert design_of(runs, "optimizer.name", 0.005) is None


def test_noise_is_pooled_over_what_is_repeated() -> None:
    runs = planned(sizes=5, seeds=40)
    rng = np.random.default_rng(1)
    level = runs["N"] ** -0.1 * runs["lr"] ** -0.05
    runs["loss"] = level * np.exp(rng.normal(0, 0.02, len(runs)))
    runs.loc[3, "loss"] = math.inf  # it diverged
    assert seed_scatter(runs, by=CELL).noise == pytest.approx(0.02, rel=0.05)
    assert math.isnan(seed_scatter(planned(seeds=1).assign(loss=2.0), by=CELL).noise)
