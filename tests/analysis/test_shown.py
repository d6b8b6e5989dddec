"""Answers as notebooks and papers show them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from scalinglab import analysis
from scalinglab.analysis import plot
from scalinglab.analysis.reporting.verdict import Finding, Verdict
from scalinglab.analysis.shown import Overview, Shown
from scalinglab.scaling.errors import UserError


def surface(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    N, D = (v.ravel() for v in np.meshgrid([1e6, 3e6, 1e7, 3e7], [1e8, 3e8, 1e9, 3e9]))
    loss = (1.8 + 480 / N**0.35 + 2100 / D**0.37) * np.exp(0.003 * rng.standard_normal(len(N)))
    return pd.DataFrame({"N": N, "D": D, "loss": loss})


@pytest.fixture(scope="module")
def answers() -> dict[str, Shown]:
    runs = surface()
    both = pd.concat(
        [runs.assign(arm="a"), surface(1).assign(arm="b", loss=lambda t: 0.99 * t.loss)]
    )
    law = analysis.fit("chinchilla", runs, resamples=40)
    return {
        "Result": law,
        "Allocation": analysis.allocate(law, [1e17, 1e18]),
        "Comparison": analysis.compare_laws(["chinchilla", "skaling"], runs, resamples=0),
        "ArmComparison": analysis.compare_arms(both, arm="arm", resamples=40),
    }


@pytest.mark.parametrize("name", ["Result", "Allocation", "Comparison", "ArmComparison"])
def test_an_answer_has_a_page_a_figure_and_a_table(name: str, answers) -> None:
    answer = answers[name]
    page = answer._repr_html_()
    assert page.count("<table") == len(answer.shown.tables) > 0
    assert len(plot.data(answer.plot())) > 3
    table = answer.to_latex()
    assert table.count(r"\begin{tabular}") == len(answer.shown.tables)
    assert table.count("{") == table.count("}")


def test_a_number_stands_beside_its_interval(answers) -> None:
    low, high = answers["Result"].interval("alpha")
    cell = f"{answers['Result'].params['alpha']:#.3g} ({low:#.3g} to {high:#.3g})"
    assert cell in answers["Result"]._repr_html_()
    assert cell.replace(" (", " & (") in answers["Result"].to_latex()


def test_a_fit_keeps_its_table_in_memory_and_in_no_file(answers, tmp_path) -> None:
    law, given = answers["Result"], surface()
    drawn = plot.data(law.plot(given))
    assert plot.data(law.plot()).equals(drawn)
    assert law.calibrated(2.0).table is law.table
    law.save(tmp_path / "fit.json")
    for again in (pickle.loads(pickle.dumps(law)), analysis.read_fit(tmp_path / "fit.json")):
        assert again.table is None and again.params == law.params
        with pytest.raises(UserError, match="runs is not set.*give plot"):
            again.plot()
    assert plot.data(again.plot(given)).equals(drawn)


def test_runs_made_elsewhere_show_what_was_decided(tmp_path) -> None:
    surface().rename(columns={"N": "params"}).to_csv(tmp_path / "runs.csv", index=False)
    imported = analysis.read_runs(tmp_path / "runs.csv")
    page = imported._repr_html_()
    assert "16 runs made elsewhere" in page and "and 4 more rows" in page
    assert all(f"<li>{note}" in page.replace("&#x27;", "'") for note in imported.notes)
    assert len(plot.data(imported.plot())) == 16


def test_no_text_of_an_answer_is_markup() -> None:
    class Answer(Shown):
        @property
        def shown(self) -> Overview:
            table = pd.DataFrame({"<b>": ["<i>"]})
            return Overview("<u>", {"<p>": table}, ("<s>",), ("<script>",))

    page = Answer()._repr_html_()
    assert not any(mark in page for mark in ("<b><", "<i>", "<u>", "<s>", "<script>"))
    assert r"\begin{tabular}" in Answer().to_latex()


def test_minima_and_held_out_points_are_shown() -> None:
    C = np.repeat([1e17, 1e18], 5)
    N = np.sqrt(C / 150) * np.tile(np.geomspace(0.3, 3.3, 5), 2)
    runs = pd.DataFrame({"N": N, "D": C / 6 / N, "C": C})
    runs["loss"] = 1.8 + 480 / runs["N"] ** 0.35 + 2100 / runs["D"] ** 0.37
    minima = analysis.isoflop_minima(runs, resamples=20)
    assert minima._repr_html_().count("<tr>") == 2
    held_out = analysis.hold_out("chinchilla", surface(), by="N", resamples=20)
    page = held_out._repr_html_()
    assert page.count("<tbody>") == 1 and held_out.report() in page.replace("&#x27;", "'")


def test_a_verdict_shows_its_tables_and_gives_its_figures() -> None:
    figure = Figure()
    table = pd.DataFrame({"arm": ["a"], "loss": [2.0], "loss_lower": [1.9], "loss_upper": [2.1]})
    finding = Finding(["b helps.", "By 1 %."], {"Arms": table}, [("Losses", figure)], ["few seeds"])
    verdict = Verdict(
        study="arms",
        question="Does b help?",
        outputs=Path(),
        runs=pd.DataFrame(),
        unfinished={},
        machines=pd.DataFrame(),
        finding=finding,
    )
    page = verdict._repr_html_()
    for part in ("<b>b helps.</b>", "2.0000 (1.9000 to 2.1000)", "By 1 %.", "<li>few seeds</li>"):
        assert part in page
    assert verdict.plot() is figure and repr(verdict) == "<Verdict: b helps.>"
    with pytest.raises(UserError, match="number = 1: this verdict has 1 figures"):
        verdict.plot(1)
