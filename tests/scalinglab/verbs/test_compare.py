"""The verbs that bring runs in, forecast them, keep count and compare: words, mistakes, JSON."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from scalinglab import analysis


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import"], "name what is imported: scaling import FILE or FOLDER to=NAME"),
        (["import", "nope.csv"], "nope.csv: there is no such file or folder"),
        (["import", "model.ckpt"], "may hold pickles"),
        (["import", "x.csv", "collumns.N=n"], "unknown key 'collumns'; did you mean 'columns'?"),
        (["import", "x.csv", "law=chinchila"], "did you mean 'chinchilla'?"),
        (["import", "wandb:a/b", "x.csv"], "wandb:a/b is imported alone"),
        (["forecast"], "study is not set"),
        (["forecast", "study=tyni"], "there is no study 'tyni'"),
        (["forecast", "study=tiny", "stopp=true"], "unknown key 'stopp'; did you mean 'stop'?"),
        (["track", "study=tyni"], "there is no study 'tyni'"),
        (["track", "outputs=/nowhere"], "there is no folder /nowhere"),
        (["compare"], "name what is compared: study=NAME arm=KEY, studies=[A,B], or data=FILE"),
        (["compare", "study=tiny"], "arm is not set"),
        (["compare", "study=tiny", "arm=optimizer.nmae"], "has such a setting"),
        (["compare", "study=tiny", "arm=schedule.kind"], "3 arms (constant, cosine, wsd)"),
        (["compare", "study=tiny", "arm=schedule.kind", "between=[wsd,sine]"], "'sine' has no"),
        (["compare", "studies=[tiny]"], "studies = ['tiny']: two different ones"),
        (["compare", "data=nope.csv", "arm=x"], "nope.csv: there is no such file"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr(run, arguments, message) -> None:
    code, _, error = run(*arguments)
    assert code == 2
    assert message in error and error.startswith("error: ") and "Traceback" not in error


def test_a_study_whose_runs_have_ended_has_nothing_to_forecast(run) -> None:
    code, out, _ = run("forecast", "study=tiny")
    assert code == 0 and "tiny: every run has ended" in out
    assert "no forecast was kept yet" in run("track")[1]
    assert json.loads(run("forecast", "study=tiny", "--json")[1])["forecasts"] == []
    assert "every run has ended" in run("status", "study=tiny", "--forecast")[1]


def test_status_says_that_forecasts_are_widened_by_the_record(
    run, finished, tmp_path, monkeypatch
) -> None:
    shutil.copytree(finished, tmp_path / "outputs")
    runs = analysis.load(tmp_path / "outputs", study="tiny")
    one = runs[(runs.width == 16) & (runs.D == 20480)].run_id.iloc[0]
    (tmp_path / "outputs" / "runs" / one / "DONE").unlink()
    asked = ("status", "study=tiny", "--forecast", f"outputs={tmp_path}/outputs")
    assert "track record" not in run(*asked)[1]
    monkeypatch.setattr(
        "scalinglab.analysis.forecasts.track.calibration_factor", lambda outputs, study, level: 2.0
    )
    assert "widened 2x by the record of earlier forecasts" in run(*asked)[1]


def test_seeds_are_compared_by_their_pairs(run) -> None:
    code, out, _ = run("compare", "study=tiny", "arm=seed", "between=[0,1]", "resamples=20")
    assert code == 0 and "1 pairs" in out and "no law is fitted" in out
    said = json.loads(run("compare", "study=tiny", "arm=seed", "between=[0,1]", "--json")[1])
    assert said["fit"] is None and said["arms"] == ["0", "1"] and len(said["pairs"]) == 1


def test_a_file_becomes_a_study_that_can_be_fitted(run, tmp_path) -> None:
    table = pd.DataFrame(
        [
            (n, d, 1.7 + 400 / n**0.34 + 1800 / d**0.37)
            for n in (1e7, 3e7, 1e8, 1e9)
            for d in (1e9, 1e10, 3e10, 1e11)
        ],
        columns=["params", "D", "loss"],
    )
    table.to_csv(tmp_path / "sweep.csv", index=False)
    out = f"outputs={tmp_path}"
    code, said, _ = run("import", str(tmp_path / "sweep.csv"), "to=sweep", "n_count=n_total", out)
    assert code == 0 and "16 runs, 16 done" in said
    assert "alpha" in run("fit", "study=sweep", "resamples=0", out)[1]
    assert "nothing was stored" in run("import", str(tmp_path / "sweep.csv"))[1]
    said = json.loads(run("import", str(tmp_path / "sweep.csv"), "--json")[1])
    assert len(said["runs"]) == 16 and said["study"] is None
