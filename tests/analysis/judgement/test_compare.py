import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws.law import Law
from scalinglab.analysis.laws.parameter import Parameter

X = [("power", {"x": "C"}), ("power_plus_constant", {"x": "C"})]


def _ladder(noise=0.002, floor=1.7, seed=0, repeats=3):
    C = np.repeat(np.geomspace(1e17, 1e21, 9), repeats)
    luck = np.exp(noise * np.random.default_rng(seed).standard_normal(len(C)))
    return pd.DataFrame({"C": C, "loss": (floor + (1e18 / C) ** 0.15) * luck})


def test_the_law_that_made_the_points_wins():
    found = analysis.compare_laws(X, _ladder(), by="C", resamples=50)
    assert found.winner == "power_plus_constant"
    row = found.table.loc["power_plus_constant"]
    assert row.held_out < 0.006 and row.wins == 1 and row.free == 3
    assert found.table.loc["power", "one_sided"] == 1
    assert found.rivals == ()


def test_one_rung_is_predicted_from_those_before_it():
    runs = _ladder()
    found = analysis.compare_laws(X, runs, by="C", origins=2, resamples=0).predictions
    assert found.groupby("origin").row.nunique().tolist() == [3, 3]
    last = found[found.origin == 1]
    assert set(runs.C[last.row]) == {1e21}
    alone = analysis.fit("power_plus_constant", runs[runs.C < 1e21], x="C", resamples=0)
    predicted = last.predicted[last.law == "power_plus_constant"]
    np.testing.assert_allclose(predicted, alone.predict(runs[runs.C == 1e21]).loss)


def test_a_law_that_fits_better_and_predicts_worse_does_not_win():
    """A wiggle that the points ask for and the next size does not follow."""
    bent = analysis.Law(
        name="bent",
        formula="L = L_inf + a x + b x^2 + c x^3 in x = log10(C) - 19",
        source="made up for this test",
        columns={"C": "FLOPs"},
        parameters=tuple(analysis.Parameter(name) for name in ("L_inf", "a", "b", "c")),
        value=lambda C, L_inf, a, b, c: L_inf + np.polyval([c, b, a, 0 * c], np.log10(C) - 19),
        guess=lambda columns, loss: {"L_inf": np.array([2.0]), "a": -0.1, "b": 0.0, "c": 0.0},
    )
    runs = _ladder(noise=0.01, seed=3, repeats=1)
    found = analysis.compare_laws([bent, X[1]], runs, by="C", resamples=0)
    assert found.winner == "power_plus_constant"
    assert found.table.in_sample.idxmin() == "bent"
    assert "bent has the smallest error in sample, but predicts worse" in found.report()


def test_the_report_is_honest_about_the_winner(made_by):
    runs, _ = made_by("chinchilla", noise=0.005)
    laws = ["chinchilla", ("power_plus_constant", {"x": "D"})]
    found = analysis.compare_laws(laws, runs, resamples=0)
    law, error = found.error_of_choice
    assert law == "chinchilla" and error == found.table.loc["chinchilla", "last"]
    text = found.report()
    for piece in ("2 laws by N", "18 points ahead of 3 origins", "Without the last origin"):
        assert piece in text
    single = analysis.compare_laws(laws, runs, origins=1, resamples=0)
    assert "its true error is larger" in single.report()


def test_laws_that_nothing_tells_apart_are_said_to_be_rivals():
    runs = _ladder(noise=0.02, floor=0)
    found = analysis.compare_laws(X, runs, by="C", resamples=50)
    assert len(found.rivals) == 1
    assert "do not distinguish it from" in found.report()
    far = pd.DataFrame({"C": [1e19, 1e25]})
    alone, pooled = found.best.predict(far, 0.95), found.predict(far, 0.95)
    width = (pooled.upper - pooled.lower) / (alone.upper - alone.lower)
    assert width[0] == 1 and width[1] > 1


def test_sizes_that_hardly_repeat_are_taken_in_tenths(chinchilla_points):
    laws = ["chinchilla", ("power_plus_constant", {"x": "N"})]
    found = analysis.compare_laws(laws, chinchilla_points, resamples=0)
    assert found.winner == "chinchilla"
    assert found.predictions[found.predictions.law == "chinchilla"].row.nunique() in range(65, 80)


def test_schedules_not_seen_judge_the_laws_of_curves(made_by):
    curves, _ = made_by("lr_annealing", noise=0.001)
    unannealed = ("lr_annealing", {"fixed": {"C": 1e-9, "lam": 0.9}})
    found = analysis.compare_laws(["lr_annealing", unannealed], curves, by="run", resamples=0)
    assert found.winner == "lr_annealing"
    assert found.table.held_out["lr_annealing"] < 0.02
    later = analysis.compare_laws(["lr_annealing", unannealed], curves, by="step", resamples=0)
    assert later.winner == "lr_annealing"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"laws": X[:1]}, "give at least two"),
        ({"laws": [X[0], X[0], X[0]]}, r"power\(x=C\) is given twice"),
        ({"by": "size"}, "by: the table has no column 'size'"),
        ({"origins": 0}, "origins=0 must be at least 1"),
        ({"origins": 1, "data": _ladder(repeats=1).iloc[:3]}, "no origin leaves every law enough"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(change, sentence):
    given = {"laws": X, "data": _ladder(), "by": "C", "resamples": 0} | change
    with pytest.raises(ValueError, match=sentence):
        analysis.compare_laws(given.pop("laws"), given.pop("data"), **given)


def test_an_origin_with_too_few_points_is_left_out_for_all_and_said():
    runs = _ladder(repeats=1).iloc[:5]
    found = analysis.compare_laws(X, runs, by="C", origins=3, resamples=0)
    assert len(found.skipped) == 1 and found.predictions.origin.nunique() == 2
    assert "origin skipped for all laws: C > " in found.report()


def test_a_law_does_not_win_by_what_it_cannot_predict() -> None:
    """A straight line is below zero at the largest point, which no loss can be."""
    line = Law(
        name="line",
        formula="L = a - b x",
        source="",
        columns={"x": ""},
        linear=("a", "b"),
        parameters=(Parameter("a"), Parameter("b")),
        value=lambda x, a, b: a - b * x,
    )
    table = pd.DataFrame({"x": np.arange(1.0, 13.0)})
    falling = table.assign(loss=np.where(table["x"] < 12, 12.5 - 1.1 * table["x"], 0.3))
    found = analysis.compare_laws(["m2", line], falling, by="x", origins=1, starts=8)
    assert found.winner == "m2" and found.table.loc["line", "held_out"] == np.inf
    fitted = analysis.fit(line, falling, resamples=0)
    assert fitted.held_out["impossible"] == 1 and np.isnan(fitted.held_out["error"])
    said = "predicts impossible values at 1 of 2 points: do not extrapolate this fit"
    assert any(said in warning for warning in fitted.warnings) and said[:50] in fitted.report()
