"""What an answer and its report say of what is to come, and of two recipes."""

from __future__ import annotations

import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.arms.settings import arm_values
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.forecasts import forecast_run
from scalinglab.analysis.forecasts.track import remember
from scalinglab.analysis.reporting.answer import Answer
from scalinglab.analysis.reporting.report import report_html
from scalinglab.scaling.records.run_folder import RunFolder


@pytest.mark.usefixtures("blank_figures")
def test_a_report_shows_forecasts_and_how_they_did(finished, tmp_path, monkeypatch) -> None:
    """The law of curves is one whose resamples predict no possible loss: this decides nothing."""
    outputs, folder = unended(finished, tmp_path)
    monkeypatch.setattr(
        forecast_run, "fit", lambda *args, **options: runaway(fit(*args, **options))
    )
    said = {
        "run_id": folder.run_id,
        "N": 1,
        "D": 1,
        "step": 0,
        "steps": 9,
        "loss": 2.0,
        "lower": 1.9,
        "upper": 2.1,
        "beyond": 1.0,
        "law": "joint_annealing",
    }
    untested = said | {"lower": np.nan}
    assert remember(outputs, "tiny", pd.DataFrame([said, untested]), 0.95) == 1
    answer = analysis.answer_study(outputs, "tiny", resamples=20)
    (row,) = answer.outlook.forecasts.to_dict("records")
    assert row["run_id"] == folder.run_id and row["law"] == "chinchilla"
    assert row["loss"] > 0 and np.isnan([row["lower"], row["upper"]]).all()
    page = re.sub("</?span[^>]*>", "", report_html(answer))  # an interval may stand below its value
    for words in (
        "Forecasts of unfinished runs",
        "Track record of forecasts",
        folder.run_id,
        "No prediction has been tested yet.",
        "2.0000 (1.9000 to 2.1000)",
    ):
        assert words in page
    assert "nan" not in answer.text()
    assert f"{row['loss']:.4f}, without interval: {row['note']}" in answer.text()


def unended(finished, tmp_path) -> tuple[Path, RunFolder]:
    """The finished study as it was before its held-out run had ended."""
    shutil.copytree(finished, tmp_path / "outputs")
    runs = analysis.load(tmp_path / "outputs", study="tiny", role="held_out")
    folder = RunFolder(tmp_path / "outputs" / "runs" / runs.run_id.iloc[0])
    folder.done_file.rename(folder.path / "kept")
    return tmp_path / "outputs", folder


def runaway(result: analysis.Result) -> analysis.Result:
    """Half of the resamples beyond reason, as fits of so few sizes end on some machines."""
    draws = result.draws.copy()
    draws.loc[draws.index[::2], ["C", "gamma"]] = [1e12, 0.0]
    return replace(result, draws=draws)


@pytest.fixture
def two(tmp_path):
    """An imported study of two recipes."""
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 4)))
    rng, tables = np.random.default_rng(0), []
    for name, A in (("adamw", 400), ("muon", 330)):
        loss = (1.7 + A / N**0.34 + 1800 / D**0.37) * np.exp(0.001 * rng.standard_normal(len(N)))
        tables.append(pd.DataFrame({"recipe": name, "N": N, "D": D, "seed": 0, "loss": loss}))
    pd.concat(tables).to_csv(tmp_path / "two.csv", index=False)
    imported = analysis.read_runs(tmp_path / "two.csv", n_count="n_matmul")
    analysis.save_study(imported, tmp_path, "two")
    return tmp_path


@pytest.mark.usefixtures("early_fits")
def test_a_report_compares_arms_where_they_are_named(two) -> None:
    answer = analysis.answer_study(two, "two", resamples=20, arm="recipe")
    page = report_html(answer)
    for words in (
        "muon against adamw: pairs",
        "Do the recipes share parameters?",
        "The loss of muon is lower than that of adamw in",
        "Is muon better than adamw?",
        ">above 0.99<",
        ">loss difference</th>",
        ">loss of muon</th>",
        ">inside both fitted ranges</th>",
        ">multiplier, own floors</th>",
        ">multiplier, one floor</th>",
        ">N* of adamw</th>",
        ">D* of muon</th>",
        "Compute multiplier: the compute that adamw needs for the loss of muon, over that of muon",
        "The laws of the recipes differ (p &lt; 0.001).",
        "Each row is a pair of runs, one of each recipe, with the same N, D",
    ):
        assert words in page
    # The one law that the runs reject is folded, and is said to be rejected before it is shown.
    one_law = page.partition(">One law for all recipes together: chinchilla</h2>")[2]
    before, _, folded = one_law.partition("<details>")
    assert (
        "The runs reject one law for both recipes" in before
        and "<td" not in before.partition("<h2")[0]
    )
    assert "irreducible loss" in folded.partition("</details>")[0]
    # The question is how large: the box has N* and D* of each recipe.
    box = page.partition('id="answer">')[2].partition("</div>")[0]
    assert re.search(r"adamw N\* = \S+ \(.*muon N\* = \S+ \(", box)
    # One number for one question: the headline has a row of the table.
    assert " adamw needs " in answer.headline()
    table = page.partition("for the loss of muon</h2>")[2].partition("</table>")[0]
    said = re.search(r"needs ([0-9.]+)x", answer.headline()).group(1)
    assert f">{said} <" in table or f">{said}<" in table
    careful = page.partition("What to be careful about</h2>")[2].partition("</div>")[0]
    assert "one set is assumed" in careful  # of the arms, without a prefix
    assert "mix recipes" not in careful and "arms: " not in careful
    _told_in_numbers(answer, page)
    assert "loss, muon" not in page and not re.search(r"<td[^>]*>[^<]*\binf\b", page)
    assert "over 20 pairs with the same" in answer.text()
    runs = page.partition(">The runs</h2>")[2]
    assert (
        ">recipe</th>" in runs and runs.count("<td>muon</td>") == runs.count("<td>adamw</td>") == 20
    )
    assert "mix 2 recipes" not in answer.headline() + answer.text()


@pytest.mark.usefixtures("blank_figures", "early_fits")
def test_budgets_that_are_asked_for_are_split_by_the_law_of_each_arm(two) -> None:
    """One law of two recipes has the split of neither."""
    imported = analysis.read_runs(two / "two.csv", n_count="n_matmul")
    analysis.save_study(imported, two, "asked", answer={"budgets": [1e19, 1e20]})
    answer = analysis.answer_study(two, "asked", resamples=20, arm="recipe")
    assert answer.allocation is None and answer.compared.asked == (1e19, 1e20)
    assert {1e19, 1e20} < set(answer.compared.splits["C"])
    # The largest inside the fitted range stands in the box, the others in the table.
    assert "The best split of C = 1e+19: adamw N* = " in " ".join(answer.beside_headline())
    assert "C = 10²⁰: adamw N* = " in answer.text()
    assert "How to split a budget" not in report_html(answer)


def _told_in_numbers(answer: Answer, page: str) -> None:
    """The comparison is in the JSON as numbers, in LaTeX, and in figures at its own C."""
    arms = json.loads(html.unescape(re.search(r"<pre>(\{.*?)</pre>", page, re.DOTALL)[1]))["arms"]
    compared = answer.compared
    assert len(arms["pairs"]) == 20 and arms["paired"]["ratio"] == compared.pairs.ratio
    assert {row["C"] for row in arms["verdicts"]} == {row["C"] for row in arms["multipliers"]}
    assert all("multiplier_lower" in row for row in arms["multipliers"])
    assert all(row["p"] is None or row["p"] <= 1 for row in arms["sharing"])
    written = page.partition("References (BibTeX)")[0]
    assert r"Compute that adamw needs for the loss of muon" in written
    # One law, the law of each, verdicts, best splits, sharing, pairs.
    assert written.count(r"\begin{table}") == 6
    figures = re.findall(r'class="shown">(.*?)</script>', page, re.DOTALL)
    layers = [layer for text in figures for layer in json.loads(text)["layers"]]
    marks = [layer for layer in layers if layer["name"].startswith("best splits")]
    columns = [layer["values"][layer["columns"].index("C")] for layer in marks]
    shown = {
        C for column in columns for C in (column if isinstance(column, list) else column["of"])
    }
    known = list(compared.multipliers["C"])
    assert marks and all(np.isclose(C, known, rtol=1e-6).any() for C in shown)


@pytest.mark.usefixtures("blank_figures", "early_fits")
def test_a_report_of_two_recipes_with_no_arm_named_says_how_to_name_it(two) -> None:
    alone = analysis.answer_study(two, "two", resamples=0)
    page_alone = report_html(alone)
    assert ": pairs<" not in page_alone
    said = "these runs mix recipes (recipe)"
    assert said in page_alone and said in alone.text()
    pooled = "These runs mix 2 recipes (recipe: adamw, muon), and one law is fitted to all of them"
    assert alone.headline().startswith(pooled) and alone.sentences()[0].startswith(pooled)
    assert alone.text().count("scaling report study=two arm=recipe") == 1
    with pytest.raises(ValueError, match="no run of study 'two' has such a setting"):
        analysis.answer_study(two, "two", resamples=0, arm="optimizer.name")


@pytest.mark.usefixtures("blank_figures", "early_fits")
def test_the_table_of_runs_says_a_setting_by_its_key(finished) -> None:
    answer = analysis.answer_study(finished, "tiny", resamples=0)
    runs = answer.runs.assign(
        **{"optimizer.name": arm_values(finished, answer.runs, "optimizer.name")}
    )
    page = report_html(replace(answer, runs=runs, arm="optimizer.name"))
    assert ">optimizer.name</th>" not in report_html(answer)
    table = page.partition(">The runs</h2>")[2]
    assert ">optimizer.name</th>" in table and table.count(">adamw<") == len(runs)
