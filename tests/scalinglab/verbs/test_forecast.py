"""``scaling forecast`` as a person uses it."""

from __future__ import annotations

import json
import shutil

import pytest

from scalinglab import Study, analysis
from scalinglab.scaling.records.run_folder import RunFolder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["forecast"], "either data=FILE or study=NAME"),
        (["forecast", "study=tyni"], "there is no study 'tyni'"),
        (["forecast", "study=tiny", "stopp=true"], "unknown key 'stopp'; did you mean 'stop'?"),
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


def test_needless_runs_are_stopped_and_taken_up_again(run, finished, tmp_path, monkeypatch) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs)
    runs = analysis.load(outputs, study="tiny").set_index("run_id")
    rival = runs.index[(runs.width == 16) & (runs.D == 20480)][0]
    folder = RunFolder(outputs / "runs" / rival)
    folder.done_file.unlink()

    def rule(outputs, forecasts, runs, margin):  # which runs meet it is tested in the analysis
        assert margin == 0.01
        return forecasts.assign(better="another", better_loss=1.5, lower=2.0)

    monkeypatch.setattr("scalinglab.answers.forecast.cannot_matter", rule)
    asked = ("forecast", "study=tiny", "resamples=0", f"outputs={outputs}")
    code, _, error = run(*asked, "margin=0.01")
    assert code == 2 and "margin = 0.01 is for stop=true" in error and folder.stopped() is None
    code, out, _ = run(*asked, "stop=true", "margin=0.01", "--json")
    sentence = f"{rival} is stopped: at best 2.0000, and another has reached 1.5000"
    assert code == 0 and json.loads(out)["stopped"] == [sentence]
    assert folder.stopped() is not None
    code, out, _ = run(*asked, "take_up=stopped")
    assert code == 0 and out == f"{rival} may be trained again\n" and folder.stopped() is None
    study = Study.open("tiny", outputs=outputs)
    assert study.take_up(rival) == []
    with pytest.raises(ValueError, match="runs = 'stopped' chooses none of the 14 runs"):
        study.take_up()
