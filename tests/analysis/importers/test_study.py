"""Imported runs as a study that every later step can use."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.judgement.study_multiverse import study_multiverse
from scalinglab.analysis.reporting.report import report_html


@pytest.fixture
def sweep(tmp_path):
    """An outputs folder with the study "brought": the surface of Hoffmann's form."""
    N, D = np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 1e11, 5))
    table = pd.DataFrame({"params": N.ravel(), "tokens": D.ravel()})
    noise = np.exp(0.001 * np.random.default_rng(0).standard_normal(len(table)))
    table["loss"] = (1.7 + 400 / table.params**0.34 + 1800 / table.tokens**0.37) * noise
    table.to_csv(tmp_path / "sweep.csv", index=False)
    imported = analysis.read_runs(tmp_path / "sweep.csv", n_count="n_total")
    analysis.save_study(
        imported,
        tmp_path,
        "brought",
        sources=[tmp_path / "sweep.csv"],
        held_out="N > 9e8",
        question="How good at 1e21?",
        answer={"budgets": [1e21]},
    )
    return tmp_path


def test_a_study_is_answered_from_imported_runs(sweep) -> None:
    answer = analysis.answer_study(sweep, "brought", resamples=100)
    assert answer.law.params["alpha"] == pytest.approx(0.34, abs=0.03)
    assert len(answer.held_out) == 5 and answer.held_out["covered"].mean() >= 0.8
    assert answer.allocation is not None
    page = report_html(answer)
    assert "How good at 1e21?" in page and "nan" not in page.lower().split("<svg")[0]
    assert "N (n_total)" in answer.law.report()
    assert "(C = 6 N D, N = n_total)" in page and "n_matmul" not in answer.text()


def test_curves_without_a_named_schedule_are_fitted(tmp_path) -> None:
    step = np.arange(400)
    loss = 2.0 + 0.8 * np.cumsum(np.full(400, 1e-3)) ** -0.4
    pd.DataFrame({"run": "a", "step": step, "lr": 1e-3, "loss": loss, "N": 1e6}).to_csv(
        tmp_path / "curve.csv", index=False
    )
    analysis.save_study(analysis.read_runs(tmp_path / "curve.csv"), tmp_path, "one")
    curves = analysis.load_curves(tmp_path, study="one", role="curve")
    assert len(curves) == 400 and set(curves["schedule"]) == {"not told"}


def test_imported_runs_stand_beside_own_ones_and_keep_their_names(sweep) -> None:
    table = analysis.load(sweep, study="brought")
    assert len(table) == 30 and set(table["study"]) == {"brought"}
    assert set(table["role"]) == {"fit", "held_out"}
    assert analysis.load_curves(sweep, study="brought").empty


def test_a_name_that_is_taken_or_no_folder_is_refused(sweep) -> None:
    imported = analysis.read_runs(sweep / "sweep.csv")
    with pytest.raises(ValueError, match="a study's name has"):
        analysis.save_study(imported, sweep, "../evil")
    with pytest.raises(ValueError, match="held_out = 'M > 3'"):
        analysis.save_study(imported, sweep, "other", held_out="M > 3")
    with pytest.raises(ValueError, match="chooses none"):
        analysis.save_study(imported, sweep, "other", held_out="N > 1e12")
    (sweep / "studies" / "planned").mkdir()
    (sweep / "studies" / "planned" / "plan.json").write_text("{}")
    with pytest.raises(ValueError, match="a planned study is called so"):
        analysis.save_study(imported, sweep, "planned")


def test_runs_that_lack_a_cell_are_counted_and_not_fitted(tmp_path) -> None:
    N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    table = pd.DataFrame({"N": N, "D": D, "loss": 1.7 + 400 / N**0.34 + 1800 / D**0.37})
    table.loc[2, "D"], table.loc[[7, 9], "loss"] = np.nan, np.nan
    table.to_csv(tmp_path / "gaps.csv", index=False)
    found = analysis.read_runs(tmp_path / "gaps.csv")
    said = found.report()
    assert "2 runs have no loss at the end" in said and "1 run has no D and cannot be" in said
    analysis.save_study(found, tmp_path, "gaps")
    fitted = analysis.fit(
        "chinchilla", analysis.load(tmp_path, study="gaps", role="fit"), resamples=0
    )
    assert fitted.points == 22 and fitted.params["alpha"] == pytest.approx(0.34, abs=1e-3)


def test_an_unknown_size_says_how_to_name_its_column(tmp_path) -> None:
    pd.DataFrame({"size": [1e7, 1e8], "loss": [3.0, 2.5]}).to_csv(tmp_path / "t.csv", index=False)
    assert "N     unknown; columns.N=NAME" in analysis.read_runs(tmp_path / "t.csv").report()


def test_imported_runs_have_the_count_of_N_that_was_told_and_no_other(sweep) -> None:
    target = analysis.read_target("N at C=1e21")
    choice = study_multiverse(sweep, "brought", target).table["convention"].unique()
    assert choice.tolist() == ["n_total"]  # three times the same is no choice


def test_a_report_prints_counts_short_and_calls_a_C_of_the_file_by_its_name(tmp_path) -> None:
    N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e7, 1e9, 5), np.geomspace(1e9, 1e11, 5)))
    table = pd.DataFrame({"N": N, "D": D + 0.25, "loss": 1.7 + 400 / N**0.34 + 1800 / D**0.37})
    table.assign(flops=7 * N * D).to_csv(tmp_path / "t.csv", index=False)
    analysis.save_study(analysis.read_runs(tmp_path / "t.csv"), tmp_path, "own")
    answer = analysis.answer_study(tmp_path, "own", resamples=0)
    assert "N 10M to 1B, D 1B to 100B." in answer.text()
    # No budget is named: the answer is at some inside the range, and says so.
    assert answer.allocation is not None and answer.allocation.table["inside"].all()
    assert answer.headline().startswith("With C = ") and "No budget was asked for" in answer.text()
    page = report_html(answer)
    assert "C = 6 N D</th>" not in page and "C</th>" in page


def table_of_sizes(**changed) -> pd.DataFrame:
    """Twelve runs of 10M to 300M parameters."""
    sizes = np.repeat([1.016e7, 3e7, 1e8, 3e8], 3)
    tokens = np.tile([3e8, 1e9, 3e9], 4)
    runs = pd.DataFrame({"run": [f"r{i}" for i in range(12)], "N": sizes, "D": tokens})
    return runs.assign(loss=1.7 + 400 / sizes**0.34 + 400 / tokens**0.28, **changed)


def test_the_counts_of_an_import_add_up(tmp_path) -> None:
    """A run without two things counts once; a diverged one is done with, not fitted."""
    runs = table_of_sizes(note=["restarted", *[None] * 11])
    runs.loc[1, "loss"] = runs.loc[2, "D"] = runs.loc[3, "D"] = runs.loc[3, "loss"] = np.nan
    runs = runs.assign(loss=runs["loss"].astype(object))
    runs.loc[4, "loss"] = "nan"
    runs.to_csv(tmp_path / "t.csv", index=False)
    imported = analysis.read_runs(tmp_path / "t.csv")
    said = imported.report()
    assert said.startswith("8 of 12 runs can be fitted\n    N     10.2M to 300M\n")
    for sentence in (
        "1 run has no loss at the end and cannot be fitted",
        "1 run has no D and cannot be fitted",
        "1 run has no loss at the end and no D and cannot be fitted",
        "the loss of run 'r4' is nan or inf in the file: taken as diverged and not fitted; leave the"
        " cell empty if it was not measured",
        "kept for exclude= and arm=, and read by no law: note",
    ):
        assert said.count(sentence) == 1, sentence
    assert len(imported.runs) == 12 and "is it right?" not in said
    assert "diverged'" not in said
    runs.assign(status=["done"] * 4 + ["diverged"] + ["done"] * 7).to_csv(tmp_path / "t.csv")
    stated = analysis.read_runs(tmp_path / "t.csv")
    assert "1 run is 'diverged' and not fitted" in stated.report() and not stated.cautions


def test_ranges_of_an_import_are_those_of_the_runs_to_fit(tmp_path) -> None:
    runs = table_of_sizes()
    runs.loc[11, "loss"] = np.nan  # the largest
    runs.to_csv(tmp_path / "t.csv", index=False)
    said = analysis.read_runs(tmp_path / "t.csv").report()
    assert "    N     10.2M to 300M\n    D     300M to 3B\n" in said
    runs.loc[[2, 5, 8], "loss"] = np.nan  # all with the most tokens
    runs.to_csv(tmp_path / "t.csv", index=False)
    assert "    D     300M to 1B\n" in analysis.read_runs(tmp_path / "t.csv").report()


def test_a_report_repeats_that_a_loss_without_a_number_was_taken_as_diverged(tmp_path) -> None:
    runs = table_of_sizes()
    runs = runs.assign(loss=runs["loss"].astype(object))
    runs.loc[4, "loss"] = "nan"
    runs.to_csv(tmp_path / "t.csv", index=False)
    analysis.save_study(analysis.read_runs(tmp_path / "t.csv"), tmp_path, "t")
    answer = analysis.answer_study(tmp_path, "t", resamples=0)
    assert any(c.startswith("The loss of run 'r4' is nan or inf") for c in answer.cautions())


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("loss", 40.0, "loss = 40.0000 of run 'r5' is far"),
        ("N", 300.0, "N = 300 of run 'r5' is far"),
    ],
)
def test_a_value_far_from_all_others_is_asked_about(tmp_path, column, value, said) -> None:
    runs = table_of_sizes(seed=range(12))
    runs["N"] *= 1 + np.arange(12) / 100  # enough different ones
    runs.loc[5, column] = value
    runs.to_csv(tmp_path / "t.csv", index=False)
    assert said in analysis.read_runs(tmp_path / "t.csv").report()


@pytest.mark.parametrize(("study", "title"), [("sweep", "sweep.csv"), ("ours", "ours (sweep.csv)")])
def test_the_page_of_an_import_is_titled_by_its_file(tmp_path, study, title) -> None:
    runs = table_of_sizes().iloc[:2]
    runs.to_csv(tmp_path / "sweep.csv", index=False)
    imported = analysis.read_runs(tmp_path / "sweep.csv")
    analysis.save_study(imported, tmp_path, study, sources=[tmp_path / "sweep.csv"])
    shown = analysis.runs_without_law(tmp_path, study, "too few runs", resamples=0)
    assert shown.title == title
    page = analysis.write_report(shown, tmp_path / "report.html").read_text()
    assert f"<h1>{title}</h1>" in page
