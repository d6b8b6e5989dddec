"""What an answer and its report say of what is to come, and of two recipes."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.arms.settings import arm_values
from analysis.forecasts.track import remember
from analysis.reporting.report import report_html
from scaling.records.run_folder import RunFolder


def test_a_report_shows_forecasts_and_how_they_did(finished, tmp_path) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs)
    runs = analysis.load(outputs, study="tiny", role="held_out")
    folder = RunFolder(outputs / "runs" / runs.run_id.iloc[0])
    folder.done_file.rename(folder.path / "kept")
    remember(outputs, "tiny", analysis.forecast_study(outputs, "tiny", resamples=20), 0.95)
    answer = analysis.answer_study(outputs, "tiny", resamples=20)
    assert answer.outlook.forecasts.run_id.tolist() == [folder.run_id]
    page = report_html(answer)
    for words in ("Forecast: runs that have not ended", "Track record: said before", folder.run_id,
                  "No prediction has been tested yet."):
        assert words in page
    assert "Forecast of runs that have not ended" in answer.text()


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


def test_a_report_compares_arms_where_they_are_named(two) -> None:
    answer = analysis.answer_study(two, "two", resamples=50, arm="recipe")
    page = report_html(answer)
    for words in ("muon (B) against adamw (A): pairs", "Do the arms share parameters?", "speed_up",
                  "Two arms: loss of B over that of A"):
        assert words in page
    assert "20 pairs, loss of B" in answer.text()
    runs = page.partition("<h2>The runs</h2>")[2]
    assert ">recipe</th>" in runs and runs.count("muon") == runs.count("adamw") == 20
    alone = analysis.answer_study(two, "two", resamples=20)
    assert "pairs" not in report_html(alone)
    said = "the fitted runs are not one ladder; they differ in recipe"
    assert said in report_html(alone) and said in alone.text()
    with pytest.raises(ValueError, match="no run of study 'two' has such a setting"):
        analysis.answer_study(two, "two", resamples=0, arm="optimizer.name")


def test_the_table_of_runs_says_a_setting_by_its_key(finished) -> None:
    answer = analysis.answer_study(finished, "tiny", resamples=0)
    runs = answer.runs.assign(**{"optimizer.name": arm_values(finished, answer.runs,
                                                              "optimizer.name")})  # fmt: skip
    page = report_html(replace(answer, runs=runs, arm="optimizer.name"))
    assert ">optimizer.name</th>" not in report_html(answer)
    table = page.partition("<h2>The runs</h2>")[2]
    assert ">optimizer.name</th>" in table and table.count("adamw") == len(runs)
