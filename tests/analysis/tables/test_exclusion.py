"""What a fit leaves out, it counts by the rule and tells."""

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.fitting.fit_text import in_a_line


@pytest.fixture(scope="module")
def runs(made_by) -> pd.DataFrame:
    return made_by("chinchilla", noise=0.003)[0]


def test_every_rule_is_counted_and_told(runs):
    table = runs.assign(status="done", steps=100, step=100)
    table.loc[[0, 1], "status"] = "diverged"
    table.loc[[0, 1, 2], "loss"] = np.nan
    table.loc[3, "status"] = "running"
    table.loc[4, "step"] = 60
    rules = ["unmeasured", "unfinished", "D < 2e9"]
    result = analysis.fit("chinchilla", table, exclude=rules, resamples=0)
    short = int((table.D < 2e9).sum()) - 5  # five of them went by an earlier rule
    assert result.excluded == {
        "diverged (censored)": 2,
        "unmeasured": 1,
        "unfinished": 2,
        "D < 2e9": short,
    }
    assert result.points == len(runs) - 5 - short
    report = result.report()
    assert f"{result.points} of 36 rows" in report
    for rule, count in result.excluded.items():
        assert f"{count} row{'s' * (count != 1)}: {rule}" in report


def test_a_condition_that_no_run_meets_is_told(runs):
    """One that others met before, or a rule by name, is no slip."""
    unmet, met_before = "D < 2", "D < 1.5e9"
    rules = ["unfinished", "D < 2e9", met_before, unmet]
    result = analysis.fit("chinchilla", runs, exclude=rules, resamples=0)
    (said,) = [warning for warning in result.warnings if "meets none" in warning]
    assert said.startswith(f'exclude=["{unmet}"] meets none of 36 runs')
    assert "0 row" not in result.report() and "0 D < 2" not in in_a_line(result)
    whole = analysis.fit("chinchilla", runs, exclude=[unmet], resamples=0)
    assert whole.points == 36 and "36 of 36" not in whole.report()


def test_a_row_that_lacks_any_column_of_the_law_is_unmeasured(runs):
    table = runs.copy()
    table.loc[3, "N"], table.loc[5, "D"], table.loc[6, "loss"] = np.nan, np.nan, np.nan
    result = analysis.fit("chinchilla", table, exclude=["unmeasured"], resamples=0)
    assert result.excluded == {"unmeasured": 3}
    assert result.params == analysis.fit("chinchilla", runs.drop([3, 5, 6]), resamples=0).params


def test_what_was_left_out_neither_moves_the_fit_nor_warns(runs):
    wrong = runs.head(3).assign(loss=9.0, status="running", vocab=7, fingerprint="b")
    table = pd.concat([runs.assign(status="done", vocab=256, fingerprint="a"), wrong])
    result = analysis.fit("chinchilla", table, exclude=["unfinished"], resamples=0)
    assert result.params == analysis.fit("chinchilla", runs, resamples=0).params
    assert result.warnings == ()
    with pytest.raises(ValueError, match="trained by different code"):
        analysis.fit("chinchilla", table, resamples=0)


def test_points_before_the_decay_are_left_out_when_asked(runs):
    checkpoints = runs.assign(run_id=runs.N.astype(str), schedule="cosine")
    checkpoints = pd.concat([checkpoints, runs.assign(run_id=runs.index, schedule="cosine")])
    result = analysis.fit("chinchilla", checkpoints, exclude=["mid_schedule"], resamples=0)
    assert result.excluded == {"mid_schedule": 30}
    assert not any("one schedule" in sentence for sentence in result.warnings)


def test_weights_stay_with_their_rows(runs):
    table = runs.assign(w=1.0 + runs.index)
    some = analysis.fit("chinchilla", table, weights="w", exclude=["N > 1e9"], resamples=0)
    same = analysis.fit("chinchilla", table[table.N <= 1e9], weights="w", resamples=0)
    assert some.params == same.params


def test_curves_stay_whole_when_some_of_their_losses_are_left_out(made_by):
    curves, _ = made_by("lr_annealing")
    late = analysis.fit("lr_annealing", curves, exclude=["step < 200"], resamples=0)
    masked = curves.assign(loss=curves.loss.where(curves.step >= 200))
    assert late.params == analysis.fit("lr_annealing", masked, resamples=0).params
    assert late.excluded["step < 200"] == int(curves.loss[curves.step < 200].notna().sum())


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ("unmeasured", "must be a list of rules, such as"),
        (
            ["unfinnished"],
            "'unfinnished' is not one of unmeasured, unfinished, mid_schedule, bounded, nor",
        ),
        (["tokens < 3"], "nor a condition on the columns N, D, loss"),
        (["D + 1"], "nor a condition"),
        (["D > 0"], "leaves none of 36 rows"),
        ([3], "exclude: 3 is no text: a rule is a name or a condition"),
    ],
)
def test_a_wrong_rule_is_named(runs, rules, sentence):
    with pytest.raises(ValueError, match=sentence):
        analysis.fit("chinchilla", runs, exclude=rules, resamples=0)
