"""A study's answer and its report."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.allocation import NoBestSplit, growth_in_words
from scalinglab.analysis.reporting.facts import facts_without_law
from scalinglab.analysis.reporting.page import Section
from scalinglab.analysis.reporting.report import report_html
from scalinglab.analysis.tables.point_checks import TooFewPoints
from scalinglab.analysis.tables.powers import in_powers
from scalinglab.scaling.records.atomic import read_json, write_json


@pytest.fixture(scope="module")
def answer(finished):
    return analysis.answer_study(finished, "tiny", resamples=40)


@pytest.fixture(scope="module")
def page(answer, tmp_path_factory) -> str:
    """Its page, as it is written."""
    folder = tmp_path_factory.mktemp("page")
    return analysis.write_report(answer, folder / "report.html").read_text()


def test_the_held_out_size_is_predicted_and_never_fitted(answer) -> None:
    (row,) = answer.held_out.to_dict("records")
    assert row["N"] > answer.law.ranges["N"][1]
    assert row["predicted"] == pytest.approx(row["loss"] * (1 + row["error"]))
    assert np.isnan(row["lower"]) and np.isnan(row["upper"])  # too few trunks for an interval
    assert answer.law.points == 10


def test_errors_of_a_page_name_their_sign(answer, page) -> None:
    assert page.count("<th>predicted / measured − 1</th>") >= 2  # held-out runs and curves
    assert "(errors: predicted / measured − 1)" in answer.text()


def test_the_third_schedule_is_predicted_from_the_other_two(answer) -> None:
    (row,) = answer.curve_check.to_dict("records")
    assert row["schedule"] == "cosine"
    measured = answer.runs.set_index("run_id").loc[row["run"], "loss"]
    assert row["final"] == measured
    assert row["points"] > 8 and np.isfinite(row["r2"])


@pytest.mark.usefixtures("blank_figures")
def test_a_curve_law_that_missed_its_held_out_schedule_is_warned_of(answer) -> None:
    within = answer.curve_check.assign(lower=0.0, upper=99.0)
    assert replace(answer, curve_check=within).curve_law_failed() == ""
    missed = answer.curve_check.assign(lower=98.0, upper=99.0, error=0.0465)
    told = replace(answer, curve_check=missed)
    assert "failed its held-out test (cosine +4.65%" in told.curve_law_failed()
    text = told.text()
    assert text.count("+4.65%") == 1 and "(+4.65%, outside its 95% interval)\nIt failed" in text
    assert "outside" not in replace(answer, curve_check=within)._schedules()

    def careful(page: str) -> str:
        return page.partition("What to be careful about</h2>")[2].partition("</div>")[0]

    # Beside the split of a budget, which is the question, it stands in its own section alone.
    page = report_html(told)
    assert told.allocation is not None and told.curve_law_failed() not in told.beside_headline()
    assert "choose no schedule by it" not in careful(page) and "curve law: " not in careful(page)
    section = page.partition(">The curve law: ")[2]
    assert "choose no schedule by it" in section.partition("The table is of curves")[0]
    asked = replace(told, allocation=None)
    assert told.curve_law_failed() in asked.beside_headline()
    assert "choose no schedule by it" in careful(report_html(asked))


def test_very_many_held_out_curves_are_told_together(answer) -> None:
    """A page of 200 held-out curves began with 200 errors, twice."""
    many = pd.concat([answer.curve_check] * 200, ignore_index=True)
    errors = np.linspace(-0.02, 0.0465, 200)
    missed = many.assign(lower=98.0, upper=99.0, error=errors)
    told = replace(answer, curve_check=missed)
    assert "(200 curves: errors -2.00% to +4.65%, mean +1.33%, outside" in told.curve_law_failed()
    text = told.text()
    assert text.count("\n- cosine: R²") == 1
    assert "final loss of 200 curves: errors -2.00% to +4.65%" in text
    inside = missed.assign(lower=np.where(np.arange(200) < 150, 0, 98.0))
    failed = replace(answer, curve_check=inside).curve_law_failed()
    assert "(50 of 200 curves: errors" in failed
    # One in twenty ends outside of a 95 % interval of a law that is right.
    by_chance = missed.assign(lower=np.where(np.arange(200) < 187, 0, 98.0))
    assert replace(answer, curve_check=by_chance).curve_law_failed() == ""


def test_words_say_what_was_found(answer) -> None:
    text = answer.text()
    assert text.startswith("Does it <run>?\n\n")
    assert "1 run that diverged is left out" in text
    assert "Held-out runs, not fitted (errors: predicted / measured − 1):\n- N " in text
    assert "Outside the fitted range: C = " in text
    for name in answer.law.diagnosis.unidentified:
        assert re.search(rf"^    {name} .* NOT IDENTIFIED$", text, re.MULTILINE)
        if name in ("alpha", "beta", "E"):
            assert f"{name} is not identified by these runs" in " ".join(answer.sentences())


def test_a_text_says_nothing_twice(answer) -> None:
    """The growth of N*, the parameters of the law and the curve law's verdict each stood twice."""
    text = answer.text()
    assert text.count("N* grows as ") == 1 and growth_in_words(answer.allocation.exponents) in text
    assert "Fitted law: " not in text
    for name in answer.law.params:
        assert len(re.findall(rf"^    {name} ", text, re.MULTILINE)) == 1
    assert text.count("D*/N*") == 1 and "tokens per parameter" not in text
    (split,) = [part for part in answer.details() if not isinstance(part, str)]
    assert len(split.table) == len(answer.allocation.table) and str(split) in text


def test_a_text_begins_with_question_and_answer_and_ends_with_the_fit(answer) -> None:
    """The question, the answer in a sentence, cautions as on the page, the rest; each once."""
    missed = answer.curve_check.assign(lower=98.0, upper=99.0, error=0.0465)
    told = replace(answer, curve_check=missed, unanswered=("Nobody asked.",))
    text = told.text()
    question, head, cautions, *rest = text.split("\n\n")
    assert (question, head) == (told.question, told.headline())
    assert cautions.splitlines() == [in_powers(f"! {caution}") for caution in told.cautions()]
    for once in ("choose no schedule by it", "Nobody asked.", *told.law.warnings):
        assert text.count(in_powers(once)) == 1
    assert rest[-1].startswith(f"[[{told.law.law.name}: ") and "[[Fit]]" in rest[-1]
    page = report_html(told)
    careful = page.partition("What to be careful about</h2>")[2].partition("</div>")[0]
    assert careful.count("<li") == len(told.cautions())


def test_the_numbers_of_one_text_are_of_one_style(answer) -> None:
    text = answer.text()
    assert not re.search(r"= [\d.]+e\+", text) and " .. " not in text and "10¹" in text


def test_runs_that_no_part_of_the_answer_reads_are_told(answer) -> None:
    swept = answer.runs.assign(role=answer.runs["role"].mask(answer.runs.index < 2, "sweep"))
    assert "2 runs with the role sweep are left out" in replace(answer, runs=swept).text()
    assert "sweep" not in answer.text()


def test_the_report_is_one_self_contained_file(answer, page) -> None:
    assert page.count("<figure") == 11
    assert not re.search(
        r"<link|src=|href=['\"]http|url\(['\"]?http", page.replace("xlink:href", "")
    )
    assert len(page) < 1_500_000
    assert "Does it &lt;run&gt;?" in page
    for run in answer.runs["run_id"]:
        assert run in page
    for version in ("torch", "lightning", "fingerprint", "processor"):
        assert version in page


@pytest.mark.usefixtures("blank_figures")
def test_texts_of_a_study_are_no_markup_in_its_report(answer, monkeypatch) -> None:
    """A study's name and question, a run's note, a machine, a warning: all are a person's texts."""
    script = "<script>1</script>"
    entries = [Section("notes", tables=[pd.DataFrame({"run_id": ["x"], "note": [script]})])]
    monkeypatch.setattr("scalinglab.analysis.reporting.study_page.logbook", lambda *_: entries)
    each = [f"{script} {k}" for k in range(len(answer.runs))]  # equal ones are said once
    note = answer.runs.assign(note=script, schedule=each)
    machines = answer.machines.assign(processor=script)
    law = replace(answer.law, warnings=(script,))
    page = report_html(
        replace(answer, study=script, question=script, runs=note, machines=machines, law=law)
    )
    assert script not in page and page.count("&lt;script&gt;") >= 5 + len(note)


def test_reports_of_one_answer_are_the_same_but_for_their_time(answer, page) -> None:
    one, other = (re.sub(r"Made [^<]*", "", text) for text in (page, report_html(answer)))
    assert one == other


@pytest.mark.usefixtures("early_fits", "blank_figures")
def test_an_unfinished_study_is_answered_from_what_there_is(finished, tmp_path) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs)
    held_out = analysis.load(outputs, role="held_out")["run_id"].iloc[0]
    (outputs / "runs" / held_out / "DONE").unlink()
    answer = analysis.answer_study(outputs, "tiny", resamples=20)
    assert answer.held_out.empty
    assert sum(answer.unfinished.values()) == 1
    assert "Not finished: 1 " in answer.text()
    assert report_html(answer)


def test_a_study_with_nothing_finished_says_so(finished, tmp_path) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(finished / "studies", outputs / "studies")
    with pytest.raises(ValueError, match="study 'tiny' has no finished run with the role 'fit'"):
        analysis.answer_study(outputs, "tiny")


@pytest.mark.usefixtures("early_fits", "blank_figures")
def test_runs_that_determine_no_law_are_shown_with_the_reason(finished, tmp_path) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs)
    for run in analysis.load(outputs, role="fit")["run_id"][2:]:
        (outputs / "runs" / run / "DONE").unlink()
    with pytest.raises(TooFewPoints) as refused:
        analysis.answer_study(outputs, "tiny", resamples=20)
    shown = analysis.runs_without_law(outputs, "tiny", str(refused.value))
    assert "No law can be fitted to these runs: column 'N' has the one value" in shown.text()
    assert "2 runs of 1 sizes and" in shown.text()
    page = analysis.write_report(shown, tmp_path / "report.html").read_text()
    assert "No law can be fitted" in page and page.count("<figure") == 1
    for run in shown.runs["run_id"]:
        assert run in page
    assert facts_without_law(shown)["fit"] is None


@pytest.mark.usefixtures("early_fits", "blank_figures")
def test_a_budget_without_a_best_split_is_told_beside_the_rest(finished, monkeypatch) -> None:
    def refuse(*_, **__):
        raise NoBestSplit("budget 1e+13 has no best split")

    monkeypatch.setattr("scalinglab.analysis.reporting.build_answer.allocate", refuse)
    answer = analysis.answer_study(finished, "tiny", resamples=20)
    assert answer.allocation is None and answer.approaches is None
    assert "No split of the budgets: budget 10¹³ has no best split." in answer.text()
    assert "No split of the budgets" in report_html(answer)


@pytest.mark.usefixtures("early_fits", "blank_figures")
def test_a_study_without_budgets_or_curves_has_no_such_section(finished, tmp_path) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs)
    path = outputs / "studies" / "tiny" / "plan.json"
    plan = read_json(path)
    plan["study"]["answer"] |= {"budgets": [], "curve_held_out": None}
    write_json(path, plan)
    answer = analysis.answer_study(outputs, "tiny", resamples=20)
    assert answer.allocation is None and answer.curve_law is None
    page = report_html(answer)
    assert "How to split" not in page and page.count("<figure") == 5


@pytest.mark.usefixtures("early_fits", "blank_figures")
def test_the_record_of_forecasts_widens_the_loss_at_a_budget_and_says_so(
    finished, answer, monkeypatch
) -> None:
    monkeypatch.setattr(
        "scalinglab.analysis.forecasts.track.factor_of_record", lambda record, level: 2.0
    )
    wide = analysis.answer_study(finished, "tiny", resamples=20)
    said = "widened 2x by the record of earlier forecasts"
    assert wide.law.calibration_factor == 2 and said in wide.text() and said in report_html(wide)
    assert said not in answer.text()
    left_out = analysis.answer_study(finished, "tiny", resamples=0, calibrate=False)
    assert left_out.law.calibration_factor == 1 and said not in left_out.text()
