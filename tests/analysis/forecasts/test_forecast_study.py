"""Runs of a study that have not ended: what is known, what they will come to, the record."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.forecasts.forecast_study import cannot_matter
from scalinglab.analysis.forecasts.track import (
    factor_of_record,
    needed,
    remember,
    sentence,
    track_record,
)
from scalinglab.analysis.forecasts.unfinished import unfinished_runs
from scalinglab.analysis.tables.numbers import read_csv_exactly
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.probes.folder import ProbeFolder, RequestedResult
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.run_folder import RunFolder


@pytest.fixture
def running(finished, tmp_path):
    """The finished study as it was before its longest run of width 16 had ended."""
    shutil.copytree(finished, tmp_path / "outputs")
    runs = analysis.load(tmp_path / "outputs", study="tiny")
    chosen = runs[(runs.width == 16) & (runs.schedule == "wsd") & (runs.D == 20480)]
    folder = RunFolder(tmp_path / "outputs" / "runs" / chosen.run_id.iloc[0])
    folder.done_file.rename(folder.path / "kept")
    return tmp_path / "outputs", folder, float(chosen.loss.iloc[0])


def test_what_a_run_has_of_its_curve_is_known_before_its_end(running) -> None:
    outputs, folder, _ = running
    table = unfinished_runs(outputs, "tiny")
    assert set(table.run) == {folder.run_id} and table.step.tolist() == list(range(1, 321))
    record = read_csv_exactly(next(folder.path.glob("curve-*.csv.gz")))
    assert np.array_equal(table.lr, record.lr)
    measured = record.validation_loss.where(record.step < 320)
    both = table.loss.notna()
    assert both.sum() >= 5 and np.allclose(table.loss[both], measured[both])


def test_a_planned_run_knows_the_trunk_that_others_have_trained(running) -> None:
    outputs, folder, _ = running
    shutil.rmtree(folder.attempts)
    table = unfinished_runs(outputs, "tiny")
    assert set(table.state) == {"planned"}
    known = table.step[table.loss.notna()]
    assert len(known) and known.max() <= 256  # the constant run shares all but the cooldown


def test_the_curve_of_a_program_is_known_while_it_grows(running) -> None:
    outputs, folder, _ = running
    for beat in folder.attempts.glob("*.beat"):
        beat.unlink()
    program = folder.path / "program" / "0001"
    program.mkdir(parents=True)
    rows = "".join(f"{step},4.0,{3 + 1 / step}\n" for step in range(1, 301))
    (program / "curve.csv").write_text(f"step,loss,validation_loss\n{rows}301,4.0,3.")
    table = unfinished_runs(outputs, "tiny").set_index("step")
    assert table.loss[300] == 3 + 1 / 300 and table.loss[301:].isna().all()
    row = analysis.forecast_study(outputs, "tiny", resamples=50).iloc[0]
    assert row.step == 300 and row.share == 300 / 320


def test_a_study_forecasts_what_has_not_ended(running) -> None:
    outputs, folder, measured = running
    found = analysis.forecast_study(outputs, "tiny", resamples=50)
    assert found.run_id.tolist() == [folder.run_id]
    row = found.iloc[0]
    assert row.lower <= measured <= row.upper and row.loss == pytest.approx(measured, rel=0.05)
    assert row.law in ("lr_annealing", "joint_annealing")


def test_a_column_of_a_probe_is_forecast_at_its_steps(running) -> None:
    """A column that is 1.1 times the loss wherever that was measured, of ended runs alone."""
    outputs, folder, measured = running
    for run_id, curve in analysis.load_curves(outputs, study="tiny").groupby("run"):
        probed = ProbeFolder(outputs / "runs" / run_id / "probes" / "x-key", "x", {}, [])
        for row in curve.dropna(subset=["loss"]).to_dict("records"):
            step = int(row["step"])
            result = {"probe": "x", "step": step, "columns": {"probe.x.loss": 1.1 * row["loss"]}}
            probed.store(
                RequestedResult(step, ((run_id, step),)), result | {"reads": [[run_id, step]]}
            )
    table = unfinished_runs(outputs, "tiny", "probe.x.loss").dropna(subset=["loss"])
    own = unfinished_runs(outputs, "tiny").set_index("step").loss
    shared = table[table["step"].isin(own.dropna().index)]
    assert len(shared) and (shared.loss.to_numpy() / own[shared.step].to_numpy()).max() < 1.11
    found = analysis.forecast_study(outputs, "tiny", column="probe.x.loss", resamples=20)
    row = found.iloc[0]
    assert row.run_id == folder.run_id and row.law in ("lr_annealing", "joint_annealing"), row.note
    assert row.loss == pytest.approx(1.1 * measured, rel=0.05)
    assert remember(outputs, "tiny", found.assign(column="probe.x.loss"), 0.95)
    with pytest.raises(UserError, match="no run has such a measured column"):
        analysis.forecast_study(outputs, "tiny", column="probe.y.loss")


@pytest.mark.usefixtures("early_fits")
def test_a_mixture_forecasts_too(running) -> None:
    outputs, _, measured = running
    row = analysis.forecast_study(outputs, "tiny", law="auto", resamples=20).iloc[0]
    assert row.law == "auto", row.note
    assert row.lower < row.loss < row.upper and row.loss == pytest.approx(measured, rel=0.05)


def test_nothing_to_forecast_is_an_empty_table(finished) -> None:
    assert analysis.forecast_study(finished, "tiny").empty


def test_a_prediction_is_kept_once_and_judged_when_its_run_has_ended(running) -> None:
    outputs, folder, measured = running
    found = analysis.forecast_study(outputs, "tiny", resamples=50)
    assert remember(outputs, "tiny", found, 0.95) == 1
    assert remember(outputs, "tiny", found, 0.95) == 0
    later = found.assign(loss=found.loss * 1.5, step=found.step + 1)
    assert remember(outputs, "tiny", later, 0.95) == 1
    assert track_record(outputs)["outcome"].tolist() == ["open", "open"]
    (folder.path / "kept").rename(folder.done_file)
    record = track_record(outputs)
    assert set(record.outcome) == {"made after the run had ended: does not count"}
    end = folder.attempt_file(1, "end")
    write_json(end, read_json(end) | {"ended": 4e9})
    record = track_record(outputs)
    assert record["counts"].tolist() == [True, False]  # one a run, the first
    first = record.iloc[0]
    assert first.measured == measured and first.error == pytest.approx(first.loss / measured - 1)
    assert first.outcome == "contained" and "1 predictions were made before" in sentence(
        record, 0.95
    )
    assert remember(outputs, "tiny", found, 0.95) == 0  # not of runs that have ended


def test_a_prediction_that_was_changed_does_not_count(running) -> None:
    outputs, folder, measured = running
    remember(outputs, "tiny", analysis.forecast_study(outputs, "tiny", resamples=50), 0.95)
    (folder.path / "kept").rename(folder.done_file)
    path = next(outputs.glob("track/*/*.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"loss": measured}))
    assert track_record(outputs).outcome.tolist() == ["changed after it was made: does not count"]


def test_misses_widen_intervals_only_when_there_are_enough() -> None:
    rng = np.random.default_rng(0)
    ratios = np.abs(rng.standard_normal(400)) / 1.96 * 2.5  # intervals so much too narrow
    record = pd.DataFrame({"ratio": ratios, "counts": True, "level": 0.95, "column": ""})
    assert needed(0.95) == 19 and factor_of_record(record[:18], 0.95) is None
    assert factor_of_record(record[:19], 0.95) == pytest.approx(ratios[:19].max())
    wider = factor_of_record(record[:200], 0.95)
    assert 2 < wider < 3.3 and np.mean(ratios[200:] <= wider) > 0.92
    assert factor_of_record(record.assign(ratio=ratios / 10), 0.95) == 1.0
    assert factor_of_record(record, 0.8) is None


def test_a_rule_stops_only_what_another_setting_has_beaten(running) -> None:
    outputs, folder, measured = running
    runs = analysis.load(outputs, study="tiny")
    forecasts = pd.DataFrame(
        {
            "run_id": [folder.run_id],
            "N": runs[runs.width == 16].N.iloc[0],
            "D": 20480,
            "state": "interrupted",
        }
    )
    others = runs[(runs.width == 16) & (runs.D == 20480)]
    best = others.loss.min()
    assert cannot_matter(outputs, forecasts.assign(lower=best - 0.001), runs).empty
    found = cannot_matter(outputs, forecasts.assign(lower=best + 0.01), runs)
    assert found.better_loss.tolist() == [best]
    assert cannot_matter(outputs, forecasts.assign(lower=best + 0.01), runs, margin=0.1).empty
    # A run is not beaten by another seed of its own setting.
    seeds = runs[(runs.width == 8) & (runs.D == 5120) & (runs.status == "done")]
    one, other = seeds.sort_values("loss").run_id
    mine = pd.DataFrame({"run_id": [other], "N": seeds.N.iloc[0], "D": 5120, "lower": 99.0})
    assert cannot_matter(outputs, mine, runs[runs.run_id != other]).empty


def test_a_stopped_run_is_a_censored_result(running) -> None:
    outputs, folder, _ = running
    ladder = analysis.load(outputs, study="tiny", role="fit")
    before = analysis.fit("chinchilla", ladder, resamples=0)
    folder.stop({"step": 200, "rule": "test"})
    assert folder.state() == "stopped"
    runs = analysis.load(outputs, study="tiny", role="fit")
    row = runs[runs.status == "stopped"].iloc[0]
    assert np.isnan(row.loss) and row.D == 200 * 64 and row.run_id == folder.run_id
    after = analysis.fit("chinchilla", runs, resamples=0)
    assert after.excluded["stopped (censored)"] == 1 and after.params == before.params
    assert analysis.forecast_study(outputs, "tiny", resamples=20).state.tolist() == ["stopped"]
    folder.take_up()
    assert folder.state() == "interrupted"
