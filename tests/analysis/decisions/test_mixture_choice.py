"""The best mixture in one call: caps, a planned run, what is refused."""

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.decisions.mixture_choice import choose_mixture
from scalinglab.scaling.errors import UserError
from tests.analysis.studies.test_mixture import made


def test_a_cap_of_epochs_bounds_the_scarce_pool():
    choice = choose_mixture(made(), epochs=4, resamples=0)
    shares = choice.best.shares.set_index("pool")
    assert shares.loc["b", "cap"] == pytest.approx(0.2)
    assert shares.loc["b", "share"] == pytest.approx(0.2, abs=1e-3)
    assert (choice.N, choice.D) == (4e4, 1e6)
    free = choose_mixture(made(), epochs=4, unique={"b": 1e9}, resamples=0)
    assert free.best.shares.set_index("pool").loc["b", "share"] == pytest.approx(0.5, abs=0.03)


def test_the_law_chooses_among_the_mixtures_that_keep_to_the_cap():
    runs = made(sizes=(4e4,))
    is_ahead = runs["role"] == "held_out"
    free = choose_mixture(runs, resamples=0)
    count = runs.loc[is_ahead, "mixture"].nunique()
    within = runs.loc[is_ahead & (runs["share.b"] <= 0.5), "mixture"].nunique()
    assert 0 < within < count and f"Of {count} mixtures" in free.test[1]
    capped = choose_mixture(runs, epochs=10, resamples=0)
    assert f"Of {within} mixtures" in capped.test[1] and "more than 10 times" in capped.test[1]
    none = choose_mixture(runs, epochs=4, resamples=0)
    assert none.regret is None and "keeps to 4 epochs" in none.test[1]


def test_a_table_made_elsewhere_needs_shares_and_losses_only():
    table = made().drop(columns=["mixture", "role", "lr", "seed", "loss"])
    choice = choose_mixture(table, resamples=0)
    assert choice.best.shares["share"].tolist() == pytest.approx([0.5, 0.5], abs=0.03)
    assert choice.regret is None and "the law was not tested" in choice.warnings[0]


def test_weights_of_the_sets_move_the_shares():
    choice = choose_mixture(made(), weights={"a": 3, "b": 1}, resamples=0)
    assert choice.best.shares.set_index("pool").loc["a", "share"] > 0.6
    assert "the mean over a (weight 0.75), b (weight 0.25): a " in choice.sentence()


def test_the_regret_is_of_the_mean_that_was_asked_for():
    choice = choose_mixture(made(sizes=(4e4,)), weights={"b": 1}, resamples=0)
    assert "the law chooses a 0.1, b 0.9: the best of them" in choice.test[1]
    assert choice.regret == 0


def test_a_rate_at_which_a_run_diverged_is_not_the_best_and_refuses_nothing():
    lost = made().assign(lr=0.02)
    sets = ["loss.a", "loss.b"]
    lost[sets] *= 0.9
    lost.loc[lost["seed"] == 1, [*sets, "loss"]] = [np.nan, np.nan, np.inf]
    both, alone = (choose_mixture(r, resamples=0) for r in (pd.concat([made(), lost]), made()))
    pd.testing.assert_frame_equal(both.best.shares, alone.best.shares)
    with pytest.raises(UserError, match="every run diverged"):
        choose_mixture(made().assign(loss=np.inf))


def test_a_planned_run_takes_the_law_of_all_sizes_and_lengths():
    longer = made().assign(D=4e6)
    for target in ("a", "b"):
        longer[f"loss.{target}"] *= 0.97
    choice = choose_mixture(pd.concat([made(), longer]), N=1e5, D=1e7, resamples=0)
    assert choice.best.shares["share"].tolist() == pytest.approx([0.5, 0.5], abs=0.05)
    assert (choice.N, choice.D) == (1e5, 1e7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0.5}, "more than 0.5 epochs of all pools together"),
        ({"N": 1e5, "D": 1e7}, "one number of tokens only"),
        ({"N": 1e5}, "give both, or neither"),
        ({"weights": {"c": 1}}, "weights has 'c'; there are a, b"),
        ({"weights": {"a": 0}}, "one of them above 0"),
        ({"weights": {"a": -1, "b": 2}}, "each must be 0 or more"),
        ({"epochs": 1, "unique": {"c": 1}}, "unique: there is no pool 'c'; there are a, b"),
        ({"targets": ["c"]}, "targets: not every run was validated on 'c'; there are a, b"),
    ],
)
def test_mistakes_are_one_sentence(options, message):
    with pytest.raises(UserError, match=message):
        choose_mixture(made(), resamples=0, **options)


def test_a_cap_without_the_sizes_of_the_pools_is_refused():
    with pytest.raises(UserError, match="give unique.a=TOKENS"):
        choose_mixture(made().drop(columns="unique_tokens.a"), epochs=2, resamples=0)
