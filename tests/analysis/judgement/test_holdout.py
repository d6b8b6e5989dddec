import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def test_the_largest_size_is_held_out_by_default(made_by):
    runs, _ = made_by("chinchilla", noise=0.003)
    held = analysis.hold_out("chinchilla", runs, resamples=200)
    assert set(held.table.N) == {runs.N.max()}
    assert held.result.points == 30
    assert abs(held.scores["relative_error"]) < 0.01
    assert held.scores["coverage"] > 0.6
    assert held.scores["beyond"] == pytest.approx(3.1, abs=0.1)
    assert "6 held-out points (3.1x beyond" in held.report()


def test_any_column_of_the_table_may_separate(made_by):
    runs, _ = made_by("chinchilla", noise=0.003)
    runs = runs.assign(C=6 * runs.N * runs.D, recipe=["a", "b"] * 18)
    by_budget = analysis.hold_out("chinchilla", runs, by="C", value=1e21, resamples=50)
    assert (by_budget.table.C >= 1e21).all()
    by_label = analysis.hold_out("chinchilla", runs, by="recipe", value="b", resamples=50)
    assert set(by_label.table.recipe) == {"b"}


def test_a_schedule_may_be_held_out(made_by):
    curves, _ = made_by("lr_annealing", noise=0.001)
    held = analysis.hold_out("lr_annealing", curves, by="run", value="wsd", resamples=50)
    assert held.scores["r2"] > 0.98


def test_every_fit_carries_its_own_check(made_by):
    runs, _ = made_by("chinchilla", noise=0.003)
    held = analysis.fit("chinchilla", runs, resamples=0).held_out
    assert held["column"] == "N" and held["points"] == 6
    assert abs(held["error"]) < 0.01


def test_a_law_that_is_wrong_above_is_caught_by_its_own_check(made_by):
    """A floor that appears only at the largest sizes: all errors on one side."""
    runs, _ = made_by("chinchilla", noise=0.001)
    bent = runs.assign(loss=np.where(runs.N == runs.N.max(), 1.05 * runs.loss, runs.loss))
    result = analysis.fit("chinchilla", bent, resamples=0)
    assert result.held_out["one_sided"] == 1
    assert "too low, by 4.8%" in " ".join(result.warnings)


def test_a_law_that_fails_at_larger_budgets_is_caught_on_isoflops(public_data):
    """The trap of arXiv:2411.12925: a perfect fit, and every larger budget predicted too high.

    No size fails by itself; sizes and tokens together do.
    """
    table = pd.read_csv(public_data / "loss_to_loss" / "sweep.csv")
    runs = table[table.data == "fineweb-100b"].rename(columns={"params": "N", "tokens": "D"})
    runs = runs.assign(loss=runs["eval/fineweb_100b_val/CrossEntropyLoss"])
    small = runs[runs.iso_flop < 1.5e19]
    result = analysis.fit("chinchilla", small, resamples=0)
    assert result.held_out["budget"]["column"] == "N D"
    warned = "a fit without the largest N D predicts all 12 of its points too high"
    assert warned in " ".join(result.warnings)
    assert " with N D >= " in result.report()
    ahead = runs[runs.iso_flop > 1.5e19]
    assert (result.predict(ahead).loss > ahead.loss).mean() > 0.95


def test_the_warning_does_not_cry_wolf(made_by):
    """On well-specified points it comes in at most one case in ten."""
    false = [
        any("do not extrapolate" in w for w in result.warnings)
        for result in (
            analysis.fit("chinchilla", made_by("chinchilla", noise=0.005, seed=s)[0], resamples=0)
            for s in range(10)
        )
    ]
    assert np.mean(false) <= 0.1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"by": "size"}, "by: the table has no column 'size'"),
        ({"value": 1e12}, "holds out 0 of 36 rows"),
        ({"by": "recipe"}, "holds labels; say which"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(made_by, options, sentence):
    runs, _ = made_by("chinchilla")
    with pytest.raises(ValueError, match=sentence):
        analysis.hold_out("chinchilla", runs.assign(recipe="a"), **options)
