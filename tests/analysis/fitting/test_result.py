import json

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.fitting.store import to_dict


@pytest.fixture(scope="module")
def result(made_by):
    runs, _ = made_by("chinchilla", noise=0.005)
    runs = runs.rename(columns={"N": "params"}).assign(run_id=[f"r{i}" for i in range(36)])
    return analysis.fit("chinchilla", runs, columns={"N": "params"}, resamples=300)


def test_intervals_nest_and_hold_the_value(result):
    for name, value in result.params.items():
        low, high = result.interval(name)
        inner = result.interval(name, level=0.5)
        assert low < inner[0] < inner[1] < high
        assert low <= value <= high


def test_the_summary_is_a_table(result):
    assert list(result.summary.index) == ["E", "A", "alpha", "B", "beta"]
    assert result.summary.loc["alpha", "lower"] == result.interval("alpha")[0]


def test_the_report_says_what_was_fitted_and_how(result):
    text = result.report()
    for piece in ("chinchilla", "N = params", "huber_log", "300 resamples", "Held out", "alpha"):
        assert piece in text
    assert result.runs[0] == "r0" and len(result.runs) == 36


def test_predictions_know_whether_they_are_inside(result):
    points = pd.DataFrame({"params": [1e8, 1e12], "D": [1e10, 1e10]}, index=["in", "out"])
    table = result.predict(points, level=0.9)
    assert table.inside.to_dict() == {"in": True, "out": False}
    assert table.beyond["out"] == pytest.approx(1e12 / 3e9)
    assert (table.lower < table.loss).all() and (table.loss < table.upper).all()


def test_prediction_intervals_cover_new_measurements(result, made_by):
    new, _ = made_by("chinchilla", noise=0.005, seed=99)
    table = result.predict(new.rename(columns={"N": "params"}), level=0.9)
    assert 0.75 <= new.loss.between(table.lower, table.upper).mean() <= 1


def test_a_fit_is_the_same_after_json(result, tmp_path):
    result.save(tmp_path / "deep" / "fit.json")
    again = analysis.read_fit(tmp_path / "deep" / "fit.json")
    assert to_dict(again) == to_dict(result)
    assert again.report() == result.report()
    json.loads((tmp_path / "deep" / "fit.json").read_text())
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["fit.json"]


def test_a_file_that_is_no_fit_is_refused(tmp_path):
    (tmp_path / "no.json").write_text("{")
    with pytest.raises(ValueError, match="is not a fit"):
        analysis.read_fit(tmp_path / "no.json")
    (tmp_path / "old.json").write_text('{"version": 0}')
    with pytest.raises(ValueError, match="version 0 is not 2"):
        analysis.read_fit(tmp_path / "old.json")


def test_a_fit_without_resamples_has_no_intervals(made_by, tmp_path):
    bare = analysis.fit("chinchilla", made_by("chinchilla")[0], resamples=0)
    with pytest.raises(ValueError, match="resamples=0"):
        bare.interval("E")
    assert bare.summary.lower.isna().all()
    bare.save(tmp_path / "bare.json")
    assert np.isnan(analysis.read_fit(tmp_path / "bare.json").summary.upper).all()


def test_a_wrong_name_or_level_is_named(result):
    with pytest.raises(ValueError, match="no parameter 'gamma', only E, A"):
        result.interval("gamma")
    with pytest.raises(ValueError, match="level=95"):
        result.interval("alpha", level=95)
    with pytest.raises(ValueError, match="needs column 'params'"):
        result.predict(pd.DataFrame({"D": [1e9]}))
