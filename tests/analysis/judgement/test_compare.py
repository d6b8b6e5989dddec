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
    assert row.held_out < 0.006 and row.free == 3
    assert found.table.behind["power"] > 0.99 and np.isnan(row.behind)
    assert found.table.loc["power", "one_sided"] == 1
    assert found.rivals == ()


def test_all_rungs_above_an_origin_are_predicted_from_those_below():
    runs = _ladder()
    found = analysis.compare_laws(X, runs, by="C", resamples=0)
    table = found.predictions[found.predictions.law == "power_plus_constant"]
    assert table.groupby("origin").row.nunique().tolist() == [3, 6, 9, 12, 15, 18]
    last = table[table.origin == 0]
    assert set(runs.C[last.row]) == {1e21}
    alone = analysis.fit("power_plus_constant", runs[runs.C < 1e21], x="C", resamples=0)
    predicted = alone.predict(runs[runs.C == 1e21]).loss
    np.testing.assert_allclose(last.predicted, predicted, rtol=1e-4)


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
    runs = _ladder(noise=0.01)
    found = analysis.compare_laws([bent, X[1]], runs, by="C", resamples=0)
    assert found.winner == "power_plus_constant"
    assert found.table.in_sample.idxmin() == "bent"
    assert "bent has the smallest error in sample, but predicts worse" in found.report()


def test_the_report_says_what_was_held_out(made_by):
    runs, _ = made_by("chinchilla", noise=0.005)
    laws = ["chinchilla", ("power_plus_constant", {"x": "D"})]
    found = analysis.compare_laws(laws, runs, resamples=0)
    assert found.winner == "chinchilla" and found.rivals == ()
    text = found.report()
    for piece in (
        "2 laws by N",
        f"ahead of {len(found.origins)} origins",
        "chinchilla predicts best",
    ):
        assert piece in text


def test_laws_that_nothing_tells_apart_are_said_to_be_rivals():
    runs = _ladder(noise=0.02, floor=0)
    found = analysis.compare_laws(X, runs, by="C", resamples=50)
    assert len(found.rivals) == 1
    assert "Cannot tell" in found.report()
    far = pd.DataFrame({"C": [1e19, 1e25]})
    alone, pooled = found.best.predict(far, 0.95), found.predict(far, 0.95)
    width = (pooled.upper - pooled.lower) / (alone.upper - alone.lower)
    assert width[0] == 1 and width[1] > 1


def test_sizes_that_hardly_repeat_are_taken_together(chinchilla_points):
    laws = ["chinchilla", ("power_plus_constant", {"x": "N"})]
    found = analysis.compare_laws(laws, chinchilla_points, resamples=0)
    assert found.winner == "chinchilla"
    assert 3 <= len(found.origins) <= 8


def test_schedules_not_seen_judge_the_laws_of_curves(made_by):
    curves, _ = made_by("lr_annealing", noise=0.001)
    unannealed = ("lr_annealing", {"fixed": {"C": 1e-9, "lam": 0.9}})
    found = analysis.compare_laws(["lr_annealing", unannealed], curves, by="run", resamples=0)
    assert found.winner == "lr_annealing"
    assert found.table.held_out["lr_annealing"] < 0.02
    later = analysis.compare_laws(["lr_annealing", unannealed], curves, by="step", resamples=0)
    assert later.winner == "lr_annealing"


@pytest.mark.parametrize("row", [2, 25])  # among the smallest, and one that is held out
def test_a_wild_row_is_in_no_score_and_is_named(row):
    runs = _ladder()
    clean = analysis.compare_laws(X, runs, by="C", resamples=0)
    runs.loc[row, "loss"] *= 4
    comparison = analysis.compare_laws(X, runs, by="C", resamples=0)
    assert comparison.winner == clean.winner
    columns = ["in_sample", "held_out"]
    np.testing.assert_allclose(comparison.table[columns], clean.table[columns], rtol=0.2)
    assert comparison.not_scored.rows == (f"row {row}",)
    assert row not in set(comparison.predictions["row"])
    assert comparison.sentences()[-1].startswith("! 1 point lies far from every law")
    assert 'exclude=["loss > ' in comparison.report() and not clean.not_scored.rows


@pytest.mark.parametrize("wild", [None, 12])
def test_the_law_that_made_the_runs_is_not_told_from_one_of_its_family(wild):
    """The other is ahead at every budget, by what the noise has left between their fits."""
    N, D = (a.ravel() for a in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 6)))
    loss = 1.82 + 482 / N**0.348 + 2085 / D**0.366
    loss *= np.exp(0.005 * np.random.default_rng(0).standard_normal(30))
    if wild is not None:
        loss[wild] *= 1.24
    runs = pd.DataFrame({"N": N, "D": D, "C": 6 * N * D, "loss": loss})
    laws = ["overtrained", "chinchilla", "kaplan_nd"]
    found = analysis.compare_laws(laws, runs, by="C", starts=8)
    assert found.winner == "overtrained" and found.rivals == ("chinchilla",)
    behind, error = found.table.behind, found.table.held_out
    assert behind["kaplan_nd"] > 0.99 and error["kaplan_nd"] > 5 * error["chinchilla"]
    assert len(found.not_scored.rows) == (wild is not None)


def test_a_row_that_one_law_alone_misses_is_scored():
    """The last size leaves the power law, and it is what tells the laws apart."""
    runs = _ladder(noise=0.0005)
    comparison = analysis.compare_laws(X, runs, by="C", resamples=0)
    assert not comparison.not_scored.rows
    assert {24, 25, 26} <= set(comparison.predictions["row"])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"laws": X[:1]}, "give at least two"),
        ({"laws": [X[0], X[0], X[0]]}, r"power\(x=C\) is given twice"),
        ({"by": "size"}, "by: the table has no column 'size'"),
        ({"beyond": 0.5}, "beyond=0.5 must be at least 1"),
        ({"data": _ladder(repeats=1).iloc[:5]}, "'C', which has too few values"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(change, sentence):
    given = {"laws": X, "data": _ladder(), "by": "C", "resamples": 0} | change
    with pytest.raises(ValueError, match=sentence):
        analysis.compare_laws(given.pop("laws"), given.pop("data"), **given)


def test_a_law_does_not_win_by_what_it_cannot_predict() -> None:
    """A straight line is below zero at the largest points, which no loss can be."""
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
    straight = 8.9 - 1.1 * table["x"]  # below zero from 9 on
    fading = table.assign(loss=np.where(table["x"] <= 7, straight, 1.2))
    found = analysis.compare_laws(["m2", line], fading, by="x", starts=8)
    assert found.winner == "m2" and found.table.loc["line", "held_out"] == np.inf
    fitted = analysis.fit(line, falling, resamples=0)
    assert fitted.held_out["impossible"] == 1 and np.isnan(fitted.held_out["error"])
    said = "predicts impossible values at 1 of 2: do not extrapolate this fit"
    assert any(said in warning for warning in fitted.warnings) and said[:50] in fitted.report()
