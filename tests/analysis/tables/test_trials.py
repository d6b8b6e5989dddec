"""Learning rates are trials: each arm, size and length counts at the best of its own."""

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.noise import seed_scatter
from scalinglab.analysis.tables.trials import (
    at_best_lr,
    at_the_edge,
    trial_columns,
    trials_chosen,
    tried_settings,
)

RUNS = pd.DataFrame(
    [
        {"arm": arm, "N": 1, "D": 1, "lr": lr, "seed": seed, "loss": loss + seed / 10}
        for arm, losses in {"x": [3, 1, float("inf")], "y": [1, float("nan"), 2]}.items()
        for lr, loss in zip((1, 2, 4), losses, strict=True)
        for seed in (0, 1)
    ]
)


def test_the_best_mean_over_seeds_is_chosen_and_a_rate_that_diverged_is_not():
    best = at_best_lr(RUNS, ["arm", "N", "D"])
    assert best.groupby("arm")["lr"].unique().map(list).to_dict() == {"x": [2], "y": [1]}
    assert len(best) == 4
    one_lost = RUNS.copy()
    one_lost.loc[(RUNS["arm"] == "x") & (RUNS["lr"] == 2) & (RUNS["seed"] == 0), "loss"] = None
    assert set(at_best_lr(one_lost, ["arm", "N", "D"]).query("arm == 'x'")["lr"]) == {1}


def test_runs_without_trials_stay_as_they_are():
    assert trials_chosen(RUNS[RUNS["lr"] == 1], "arm").equals(RUNS[RUNS["lr"] == 1])
    assert trials_chosen(RUNS.drop(columns="lr"), "arm").equals(RUNS.drop(columns="lr"))
    assert set(trials_chosen(RUNS, "arm")["lr"]) == {1, 2}


def test_other_settings_are_no_trials():
    larger = RUNS[RUNS["lr"] == 4].assign(batch=32, loss=9.0)
    both = pd.concat([RUNS[RUNS["lr"] < 4].assign(batch=16), larger], ignore_index=True)
    assert set(trials_chosen(both, "arm")["batch"]) == {16, 32}


def test_a_best_rate_at_the_end_is_counted():
    assert at_the_edge(RUNS[RUNS["arm"] == "x"], ["N", "D"]) == (0, 1)
    assert at_the_edge(RUNS[RUNS["arm"] == "x"].assign(loss=lambda r: r["lr"]), ["N"]) == (1, 1)


def test_where_every_rate_lost_a_run_the_rest_decides():
    every = RUNS[RUNS["arm"] == "x"].copy()
    every.loc[every["seed"] == 0, "loss"] = float("inf")  # at each rate one of two
    best = trials_chosen(every, "arm")
    assert set(best["lr"]) == {2} and set(best["seed"]) == {1}


def test_a_weight_decay_is_tried_as_a_rate_is():
    """Decays of one rate make no mean: y at lr 4 has the best and the worst of them."""
    small = RUNS[np.isfinite(RUNS["loss"])].assign(weight_decay=0.1)
    other = small.assign(weight_decay=0.2, loss=small["loss"] + 9)
    other.loc[(other["arm"] == "y") & (other["lr"] == 4), "loss"] = 0.5
    both = pd.concat([small, other], ignore_index=True)
    best = trials_chosen(both, "arm")
    assert best.groupby("arm")[["lr", "weight_decay"]].first().to_numpy().tolist() == [
        [2, 0.1],
        [4, 0.2],
    ]
    assert len(best) == 4 and tried_settings(both, "arm") == ["lr", "weight_decay"]


def test_recipes_are_trials_unless_they_differ_between_seeds_alone():
    recipes = ['{"optimizer": {"beta2": 0.9}}', '{"optimizer": {"beta2": 0.99}}']
    at_one_rate = RUNS[RUNS["lr"] == 1]
    both = pd.concat(
        [
            at_one_rate.assign(recipe=text, loss=at_one_rate["loss"] - i)
            for i, text in enumerate(recipes)
        ],
        ignore_index=True,
    )
    assert set(trials_chosen(both, "arm")["recipe"]) == {recipes[1]}
    assert tried_settings(both, "arm") == ["optimizer.beta2"]
    by_seed = at_one_rate.assign(recipe=[recipes[seed] for seed in at_one_rate["seed"]])
    assert trials_chosen(by_seed, "arm").equals(by_seed)
    decays = pd.concat(
        [by_seed.assign(weight_decay=d, recipe=by_seed["recipe"] + f" {d}") for d in (0.1, 0.2)]
    )
    assert trial_columns(decays, ["arm", "N", "D"]) == ["lr", "weight_decay"]  # seeds stay repeats


def test_the_noise_of_seeds_is_within_one_trial():
    """Two decays of two seeds: no decay of one seed repeats the other of the other seed."""
    rows = [
        {"arm": "x", "N": 1, "D": 1, "lr": 1, "seed": s, "weight_decay": d, "loss": d + s / 1000}
        for s, decays in ((0, (1.0, 2.0)), (1, (2.0, 1.0)))
        for d in decays
    ]
    runs, cell = pd.DataFrame(rows), ["arm", "N", "D"]
    assert trial_columns(runs, cell) == ["lr", "weight_decay"]
    assert seed_scatter(runs, by=[*cell, *trial_columns(runs, cell)]).noise < 0.001
    assert trial_columns(runs.drop(columns="lr"), cell) == ["weight_decay"]


def test_a_setting_that_one_row_lacks_still_tells_trials_apart() -> None:
    """Two decays of two seeds each, and one run of which nobody wrote the decay down."""
    rows = [
        {"arm": "x", "N": 1, "D": 1, "lr": 1, "seed": s, "weight_decay": d, "loss": d + s / 1000}
        for s in (0, 1)
        for d in (1.0, 2.0)
    ]
    rows.append(rows[0] | {"seed": 2, "weight_decay": None, "loss": 0.5})
    runs, cell = pd.DataFrame(rows), ["arm", "N", "D"]
    assert trial_columns(runs, cell) == ["lr", "weight_decay"]
    assert trials_chosen(runs, "arm")["loss"].tolist() == [0.5]
    assert trials_chosen(runs.iloc[:4], "arm")["weight_decay"].tolist() == [1.0, 1.0]
    assert seed_scatter(runs, by=[*cell, *trial_columns(runs, cell)]).noise < 0.001
    without = runs.assign(weight_decay=np.nan)
    assert trial_columns(without, cell) == ["lr"]
