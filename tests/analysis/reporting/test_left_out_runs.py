"""A report of an imported table with a run far from the law, and rows without a loss."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.reporting.left_out_runs import LEFT_OUT, leave_out, roles_in_words
from scalinglab.analysis.reporting.report import report_html
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.study_runs import with_role
from scalinglab.scaling.errors import UserError


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7, 9.5, 40), 10 ** rng.uniform(9, 11, 40)
    loss = (1.7 + 400 / N**0.34 + 1800 / D**0.37) * np.exp(0.004 * rng.standard_normal(40))
    table = pd.DataFrame({"run": [f"exp-{k}" for k in range(40)], "N": N, "D": D, "loss": loss})
    table.loc[11, "loss"] = 9.8
    table.loc[5, "loss"] = np.nan
    table.loc[6, ["N", "D"]] = np.nan
    folder = tmp_path_factory.mktemp("far")
    table.to_csv(folder / "table.csv", index=False)
    analysis.save_study(analysis.read_runs(folder / "table.csv"), folder, "far")
    return folder


def test_the_remedy_that_a_report_prints_is_taken_by_it(outputs: Path) -> None:
    before = analysis.answer_study(outputs, "far", resamples=0)
    (warning,) = (w for w in before.law.warnings if "exp-11" in w)
    (rule,) = re.findall(r"""exclude=\["(.*?)"\]""", warning)
    after = analysis.answer_study(outputs, "far", resamples=0, exclude=[rule])
    assert after.law.points == before.law.points - 1
    assert not [w for w in after.law.warnings if "exp-11" in w]
    (caution,) = (c for c in before.cautions() if "exp-11" in c)
    line = f'scaling report study=far "exclude=[{rule}]"'
    assert f"; {line} leaves it out" in caution
    assert f"1 run is left out by exclude=[{rule}]." in after.design_sentence()
    assert "left out: exclude" in report_html(after)
    assert list(before.runs.loc[before.far_runs(), "run_id"]) == ["exp-11"]
    assert after.far_runs().empty
    assert " 1 of them lies far from the law: exp-11." in before.design_sentence()
    assert "far from the law" not in after.design_sentence()


def test_counted_runs_name_the_far_ones_and_their_range_is_of_the_others(outputs: Path) -> None:
    answer = analysis.answer_study(outputs, "far", resamples=0)
    to_fit = with_role(answer.runs, "fit").set_index("run_id")
    assert to_fit["N"].idxmin() == "exp-11"
    near = to_fit["N"].drop("exp-11")
    low, high = short(near.min()), short(near.max())
    said = answer.design_sentence()
    assert f"N {low} to {high}, " in said and said.startswith("38 runs were fitted")
    assert short(answer.law.ranges["N"][0]) == low
    is_largest = answer.runs["run_id"] == near.idxmax()
    spoilt = answer.runs.assign(loss=answer.runs["loss"].mask(is_largest, 30.0))
    said = replace(answer, runs=spoilt).design_sentence()
    both = re.search(r"2 of them lie far from the law: (.*?)\.", said)
    assert set(both[1].split(", ")) == {"exp-11", near.idxmax()}
    assert f"N {low} to {short(near.drop(near.idxmax()).max())}, " in said


def test_rows_that_lack_something_say_so_in_place_of_a_role(outputs: Path) -> None:
    runs = analysis.answer_study(outputs, "far", resamples=0).runs
    words = dict(zip(runs["run_id"], roles_in_words(runs), strict=True))
    assert words["exp-5"] == "left out: no loss"
    assert words["exp-6"] == "left out: no N, no D"
    assert words["exp-7"] == "fit"


def test_a_rule_takes_runs_out_of_the_fits_and_leaves_held_out_ones() -> None:
    runs = pd.DataFrame(
        {
            "run_id": list("abcd"),
            "role": ["fit,curve", "fit", "held_out", ""],
            "status": "done",
            "N": [1.0, 2, 3, 4],
            "D": 1.0,
            "loss": 1.0,
        }
    )
    changed, counts = leave_out(runs, ["run == 'a'", "N > 2"])
    assert changed["role"].tolist() == [LEFT_OUT, "fit", "held_out", ""]
    assert counts == {"run == 'a'": 1, "N > 2": 0}
    with pytest.raises(UserError, match="leaves none of 2 rows"):
        leave_out(runs, ["N > 0"])


def test_a_page_says_what_was_tested_and_where_budgets_are_named(outputs: Path) -> None:
    answer = analysis.answer_study(outputs, "far", resamples=0)
    said = " ".join(answer.beside_headline())
    assert (
        "Tested by refitting without the largest runs: a fit without the " in said
        and " with N >= " in said
    )
    assert "not tested" not in said
    # Runs that were held out by hand may be easy ones: what a refit misses is said beside them.
    held_out = answer.runs.head(2).assign(
        predicted=1.01, lower=0.9, upper=1.12, error=0.01, covered=[True, False], impossible=0.0
    )
    both = " ".join(replace(answer, held_out=held_out).beside_headline())
    assert (
        "error of 1.00%; 1 of 2 lie within their intervals, which reach to errors of up to 12%."
        in both
    )
    assert "Tested by refitting without the largest runs: a fit without the " in both
    by_budget = {**answer.law.held_out, "error": -0.5, "sentence": "worse"}
    worse = replace(answer.law, held_out=answer.law.held_out | {"budget": by_budget})
    assert "largest runs: worse." in " ".join(replace(answer, law=worse).beside_headline())
    where = answer.choice_of_budgets()
    assert "scaling import FILE to=far 'budgets=[1e22]'" in where and "answer.budgets" not in where
    assert (
        where not in said and where in html.unescape(report_html(answer)) and where in answer.text()
    )
    several = len(answer.allocation.table) > 1
    assert ("round budgets whose best splits lie" in where) == several
    one = replace(answer.allocation, table=answer.allocation.table.head(1))
    assert "a round budget whose best" in replace(answer, allocation=one).choice_of_budgets()
    assert answer.terms().startswith("C: training compute in FLOPs, 6 N D. N: parameters, as the")
