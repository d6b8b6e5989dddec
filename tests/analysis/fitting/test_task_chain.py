"""Loss on a task from size and tokens, accuracy from that loss (arXiv:2412.04403)."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.scaling.errors import UserError

TARGET = pd.DataFrame({"N": [7e9], "D": [4e12]})


def _truth(N, D):
    task_loss = 0.4 + 40 / N**0.25 + 90 / D**0.25
    return task_loss, 0.25 + 0.7 / (1 + np.exp(5 * (task_loss - 0.9)))


def _models(noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    N, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e8, 3e9, 6), np.geomspace(2e9, 6e11, 6)))
    task_loss, _ = _truth(N, D)
    task_loss = task_loss * np.exp(noise * rng.standard_normal(36))
    accuracy = 0.25 + 0.7 / (1 + np.exp(5 * (task_loss - 0.9)))
    accuracy = accuracy + noise * rng.standard_normal(36)
    return pd.DataFrame({"N": N, "D": D, "task_loss": task_loss, "accuracy": accuracy})


def test_both_steps_are_recovered():
    chain = analysis.task_chain(_models(), resamples=0)
    assert chain.loss.params["E"] == pytest.approx(0.4, rel=1e-4)
    assert chain.accuracy.params["k"] == pytest.approx(5, rel=1e-4)
    ahead = chain.predict(TARGET)
    loss, accuracy = _truth(7e9, 4e12)
    assert ahead.task_loss[0] == pytest.approx(loss, rel=1e-5)
    assert ahead.accuracy[0] == pytest.approx(accuracy, rel=1e-5)


def test_the_doubt_of_the_loss_goes_through_the_sigmoid():
    chain = analysis.task_chain(_models(noise=0.01), resamples=400)
    ahead = chain.predict(TARGET, level=0.95).iloc[0]
    assert ahead.lower < _truth(7e9, 4e12)[1] < ahead.upper
    alone = chain.accuracy.predict(pd.DataFrame({"task_loss": [ahead.task_loss]}), level=0.95)
    width, own = ahead.upper - ahead.lower, alone.upper[0] - alone.lower[0]
    steepest = 5 * 0.7 / 4
    assert 1.1 * own < width < own + steepest * (ahead.task_loss_upper - ahead.task_loss_lower)


def test_checkpoints_and_column_names_are_the_users():
    models = _models().rename(columns={"N": "params", "task_loss": "bpb", "accuracy": "acc"})
    more = pd.concat([models, models.assign(bpb=models.bpb + 0.3)], ignore_index=True)
    more["acc"] = 0.25 + 0.7 / (1 + np.exp(5 * (more.bpb - 0.9)))
    chain = analysis.task_chain(
        models, more, task_loss="bpb", accuracy="acc", columns={"N": "params"}, resamples=50
    )
    assert chain.accuracy.points == 72 and chain.loss.points == 36
    renamed = TARGET.rename(columns={"N": "params"})
    assert chain.predict(renamed).accuracy[0] == pytest.approx(_truth(7e9, 4e12)[1], rel=1e-4)
    assert "task_accuracy" in chain.report() and "chinchilla" in chain.report()


def test_the_largest_models_of_the_ladder_are_predicted(public_data):
    """3B models from those up to 1B on a task that arXiv:2412.04403 calls predictable."""
    steps = pd.read_parquet(public_data / "olmo_ladder" / "ladder_runs.parquet")
    steps = steps.sort_values("_step", kind="stable")
    last = steps[~steps.run.str.contains("rerun")].groupby("run").tail(1)
    size = {
        "190M": 190354176,
        "370M": 371262464,
        "760M": 758220288,
        "1B": 1279395840,
        "3B": 3169537280,
    }
    runs = pd.DataFrame(
        {
            "N": last.run.str.split("-").str[0].map(size).astype(float),
            "D": last["throughput/total_tokens"],
            "task_loss": last["eval/downstream_bpb/hellaswag_val_rc_5shot_bpb"],
            "accuracy": last["eval/downstream/hellaswag_val_rc_5shot_len_norm"],
        }
    )
    small, large = runs[runs.N < 2e9], runs[runs.N > 2e9]
    predicted = analysis.task_chain(small, resamples=300).predict(large, level=0.95)
    assert np.abs(predicted.accuracy - large.accuracy).mean() < 0.03
    assert large.accuracy.between(predicted.lower, predicted.upper).all()


def test_priors_are_on_by_default_said_and_left_out_by_a_word():
    few = _models(noise=0.05)
    chain = analysis.task_chain(few, resamples=0)
    free = analysis.task_chain(few, resamples=0, priors="none")
    assert chain.loss.settings["priors"].keys() == {"alpha", "beta"}
    assert free.loss.settings["priors"] == {}
    assert chain.loss.params["beta"] != free.loss.params["beta"]
    assert "priors='none'" in chain.report() and "priors" not in free.report()


def test_the_ideal_point_is_one_option_away():
    ideal = {"priors": {"high": (1.0, 0.01)}}
    few = _models(noise=0.01)
    few = few[few.task_loss > few.task_loss.median()]  # far from the upper end of the sigmoid
    high = analysis.task_chain(few, resamples=0, accuracy_options=ideal).accuracy.params["high"]
    assert high == pytest.approx(1.0, abs=0.05)


def test_priors_give_way_to_what_is_held_and_to_those_that_are_given():
    held = analysis.task_chain(_models(), resamples=0, loss_options={"tied": {"beta": "alpha"}})
    assert held.loss.settings["priors"].keys() == {"alpha"}
    own = {"priors": {"alpha": (0.25, 0.01)}}
    given = analysis.task_chain(_models(), resamples=0, loss_options=own).loss.settings["priors"]
    assert given["alpha"] == [0.25, 0.01] and "beta" in given


def test_a_word_that_is_no_prior_is_refused():
    with pytest.raises(UserError, match="priors='off'.*'none'"):
        analysis.fit("task_accuracy", _models(), resamples=0, priors="off")


def test_many_tasks_are_asked_for_together():
    rng = np.random.default_rng(3)
    chance = _models().assign(accuracy=0.25 + 0.002 * rng.standard_normal(36))
    rises, few = _models(noise=0.002), _models().iloc[[0, 7, 14]]
    found = analysis.task_chains(
        {"rises": rises, "few": few, "chance": chance}, resamples=40, starts=8
    )
    assert set(found.chains) == {"rises", "chance"} and "free parameters" in found.refused["few"]
    planned = pd.concat([TARGET, TARGET * 0.1], ignore_index=True)
    table = found.predict(planned, level=0.95)
    assert list(table.task) == ["rises"] * 2 + ["chance"] * 2
    assert list(table.N) == [7e9, 7e8] * 2
    alone = analysis.task_chain(rises, resamples=40, starts=8).predict(planned, level=0.95)
    pd.testing.assert_frame_equal(table.loc[:1, alone.columns], alone, rtol=1e-4)
    assert any(warning.startswith("chance: ") for warning in found.warnings)
    with pytest.raises(UserError, match="few: .*free parameters"):
        analysis.task_chains({"few": few})


def test_tasks_in_one_batch_have_the_fits_and_draws_that_they_have_alone():
    """Of fewer models, and with a row without which the law is fitted once more."""
    wild = _models(noise=0.01, seed=1)
    wild.loc[5, "task_loss"] *= 1.4
    models = {
        "fewer": _models(noise=0.01, seed=2).iloc[::2].reset_index(drop=True),
        "wild": wild,
    }
    together = analysis.task_chains(models, resamples=30, starts=4).chains
    for task, table in models.items():
        alone = analysis.task_chain(table, resamples=30, starts=4)
        for one, of_all in (
            (alone.loss, together[task].loss),
            (alone.accuracy, together[task].accuracy),
        ):
            assert of_all.objective == pytest.approx(one.objective, rel=1e-6)
            spread = one.draws.std().to_numpy()
            apart = np.abs(of_all.draws.to_numpy() - one.draws.to_numpy())
            # Some resamples have a valley, along which the solver's tolerance reaches far.
            assert (np.median(apart, axis=0) < 0.01 * spread).all()
            assert len(of_all.warnings) == len(one.warnings)
        ahead = [chain.predict(TARGET, level=0.95) for chain in (alone, together[task])]
        pd.testing.assert_frame_equal(*ahead, rtol=5e-3)
    assert any("far from the law" in warning for warning in together["wild"].loss.warnings)


def _emerging() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Models whose task begins to rise at the largest budget only, and larger ones of that task."""
    C, ratio = (a.ravel() for a in np.meshgrid(np.geomspace(1e18, 1e20, 5), [10, 20, 40, 80]))
    N = np.sqrt(np.r_[C, 1e21] / 6 / np.r_[ratio, 20])
    table = pd.DataFrame({"N": N, "D": np.r_[ratio, 20] * N})
    table["task_loss"] = 0.4 + 40 / N**0.25 + 90 / table.D**0.25
    noise = 0.003 * np.random.default_rng(1).standard_normal(21)
    bend = np.maximum(0, np.log10(table.N * table.D * 6 / 4e19))  # which no sigmoid of these has
    table["accuracy"] = 0.25 + noise + 0.1 * bend + 0.02 / (1 + np.exp(9 * (table.task_loss - 2)))
    return table.iloc[:20], table.iloc[20:]


def test_what_the_chain_misses_of_its_largest_models_widens_its_intervals():
    models, larger = _emerging()
    chain = analysis.task_chain(models, resamples=60, starts=8)
    assert 0.02 < chain.missed < 0.05  # it had risen by .04 where no refit had seen it rise
    ahead = chain.predict(larger, level=0.95).iloc[0]
    without = dataclasses.replace(chain, missed=None).predict(larger, level=0.95).iloc[0]
    assert ahead.upper - ahead.lower > np.hypot(without.upper - without.lower, 3 * chain.missed)
    assert f"by {100 * chain.missed:.1f} points" in chain.report()
    other = {"accuracy_options": {"objective": "huber_log"}}  # which has relative residuals
    relative = analysis.task_chain(models, resamples=5, starts=4, **other)
    assert relative.missed == pytest.approx(chain.missed, rel=0.2)
    steady = analysis.task_chain(_models(noise=0.003), resamples=30, starts=8)
    assert steady.missed < 0.005


def test_pairs_of_checkpoints_that_are_better_than_all_that_is_kept_are_left_out():
    models, _ = _emerging()
    checkpoints = pd.concat([models, models.assign(task_loss=models.task_loss + 0.05)])
    shared = analysis.task_chain(models, checkpoints, resamples=30, starts=8)
    assert 0.02 < shared.missed < 0.06


def test_too_few_models_below_the_largest_budget_say_nothing_of_misses():
    models = _models(noise=0.01)
    budget = models.N * models.D
    few = pd.concat([models[budget < 4e18][:4], models.assign(D=1e21 / models.N)[::9]])
    chain = analysis.task_chain(few, resamples=10, starts=4)
    assert chain.missed is None and "beyond noise" not in chain.report()
    assert analysis.task_chain(models, resamples=0, starts=4).missed is None
