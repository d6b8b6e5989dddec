"""What a record of forecasts does to the intervals of everything that is predicted."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.forecasts import track
from scalinglab.analysis.forecasts.track import calibration_factor, factor_of_record
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.state import State

LEVEL = 0.95


def record(overconfident: float, count: int = 200, study: str = "tiny") -> pd.DataFrame:
    """Forecasts whose 95 % intervals are so many times too narrow."""
    ratios = overconfident * np.abs(np.random.default_rng(0).standard_normal(count)) / 1.96
    return pd.DataFrame(
        {"study": study, "ratio": ratios, "counts": True, "level": LEVEL, "column": ""}
    )


@pytest.fixture(scope="module")
def fitted(made_by):
    return analysis.fit("chinchilla", made_by("chinchilla", noise=0.003)[0], resamples=100)


def half_width(table: pd.DataFrame) -> np.ndarray:
    return np.log(table["upper"] / table["lower"]).to_numpy() / 2


def test_an_overconfident_record_widens_predictions_to_its_own_nominal_coverage(fitted) -> None:
    known = record(overconfident=2.5)
    wider = factor_of_record(known, LEVEL)
    place = pd.DataFrame({"N": [1e8, 1e12], "D": [1e10, 1e13]})
    before, after = fitted.predict(place, LEVEL), fitted.calibrated(wider).predict(place, LEVEL)
    np.testing.assert_allclose(half_width(after), wider * half_width(before))
    assert after.loss.equals(before.loss)
    ratios = known["ratio"]  # of misses to the half-widths before
    assert (ratios <= 1).mean() < 0.7 and LEVEL <= (ratios <= wider).mean() <= LEVEL + 0.02


def test_a_prediction_that_was_kept_without_an_interval_counts_for_nothing(tmp_path) -> None:
    said = {
        "run_id": "r",
        "study": "tiny",
        "made": "2026-01-01T00:00:00+00:00",
        "step": 0,
        "steps": 9,
        "loss": 2.0,
        "lower": None,
        "upper": None,
        "level": LEVEL,
        "inflation": 1.0,
        "hash": "x",
    }
    (tmp_path / "track" / "r").mkdir(parents=True)
    (tmp_path / "track" / "r" / "old.json").write_text(json.dumps(said))
    (row,) = track.track_record(tmp_path).to_dict("records")
    assert not row["counts"] and row["outcome"] == "made without an interval: does not count"
    assert calibration_factor(tmp_path, "tiny", LEVEL) == 1


def test_a_calibrated_record_leaves_them_as_they_are(fitted) -> None:
    wider = factor_of_record(record(overconfident=0.8), LEVEL)
    assert wider == 1 and fitted.calibrated(wider) is fitted
    text = fitted.calibrated(1.0).report()
    assert "track record" not in text


def test_the_loss_at_a_budget_is_widened_and_said_its_split_is_not(fitted, tmp_path) -> None:
    plain, wide = (analysis.allocate(f, 1e20) for f in (fitted, fitted.calibrated(2.0)))
    a, b = plain.table.iloc[0], wide.table.iloc[0]
    assert np.log(b.loss_upper / b.loss_lower) == pytest.approx(
        2 * np.log(a.loss_upper / a.loss_lower)
    )
    assert b.N_upper == a.N_upper and plain.calibration_factor == 1 and wide.calibration_factor == 2
    said = "widened 2x by the record of earlier forecasts"
    assert any(said in w for w in wide.warnings) and said in fitted.calibrated(2.0).report()
    fitted.calibrated(2.0).save(tmp_path / "fit.json")
    assert analysis.read_fit(tmp_path / "fit.json").calibration_factor == 2
    with pytest.raises(ValueError, match="factor = 0.5 must be at least 1"):
        fitted.calibrated(0.5)


def losses_told(result: analysis.Result) -> dict[str, tuple[float, float]]:
    """The interval of a loss, wherever a fit tells one."""
    place = {"N": [1e12], "D": [1e13]}
    left = analysis.loss_left(result, pd.DataFrame(place)).iloc[0]
    known = {
        at: analysis.read_target(f"loss at {at}").estimate(result)
        for at in ("C=1e20", "N=1e12 D=1e13")
    }
    return {
        "predict": result.predict(pd.DataFrame(place), LEVEL)[["lower", "upper"]].iloc[0],
        "allocate": analysis.allocate(result, 1e20).table[["loss_lower", "loss_upper"]].iloc[0],
        "loss": (left.loss_lower, left.loss_upper),
        "best_loss": (left.best_loss_lower, left.best_loss_upper),
        **{at: (row["lower"], row["upper"]) for at, row in known.items()},
    }


def test_every_interval_of_a_loss_is_widened_alike_and_no_other(fitted) -> None:
    before, after = (losses_told(f) for f in (fitted, fitted.calibrated(2.0)))
    for name, (lower, upper) in before.items():
        low, high = after[name]
        assert np.log(high / low) == pytest.approx(2 * np.log(upper / lower)), name
    for text in ("N at C=1e20", "D at C=1e20", "alpha"):
        target = analysis.read_target(text)
        assert target.estimate(fitted.calibrated(2.0)) == target.estimate(fitted)
    cheapest = [analysis.cheapest(f, 2.5) for f in (fitted, fitted.calibrated(2.0))]
    assert cheapest[0].equals(cheapest[1])


def test_what_is_planned_for_a_widened_target_takes_more(fitted) -> None:
    place = np.geomspace(1e8, 1e11, 6)
    could = pd.DataFrame({"N": place, "D": 20 * place, "cost": 1.0})
    target = analysis.Target("loss", {"C": 1e23}, None)
    plain = analysis.choose_next(fitted, target, could)
    goal = analysis.Target("loss", {"C": 1e23}, 1.001 * plain.table.half_width.iloc[0])
    few, more = (analysis.choose_next(f, goal, could) for f in (fitted, fitted.calibrated(1.5)))
    assert (few.calibration_factor, more.calibration_factor) == (
        1,
        1.5,
    ) and more.now > 1.4 * few.now
    assert few.enough and (len(few.table) < len(more.table) or not more.enough)
    size = analysis.choose_next(fitted.calibrated(1.5), analysis.read_target("alpha"), could)
    assert size.calibration_factor == 1


def test_a_study_with_too_short_a_record_takes_the_laboratory_s(monkeypatch, tmp_path) -> None:
    own, others = record(1.5, 30), record(3.0, 60, study="another")
    monkeypatch.setattr(track, "track_record", lambda outputs: pd.concat([own, others]))
    assert calibration_factor(tmp_path, "tiny", LEVEL) == factor_of_record(own, LEVEL)
    both = factor_of_record(pd.concat([own, others]), LEVEL)
    assert calibration_factor(tmp_path, "new", LEVEL) == both > factor_of_record(own, LEVEL)
    monkeypatch.setattr(track, "track_record", lambda outputs: own[:18])
    assert calibration_factor(tmp_path, "tiny", LEVEL) == 1


@pytest.mark.parametrize(
    "wrong", [{"upper": 1.9}, {"lower": 0.0}, {"inflation": 0.0}, {"loss": -1.0}, {"steps": 0}]
)
def test_a_prediction_made_by_hand_divides_by_no_zero(wrong, tmp_path) -> None:
    said = {
        "run_id": "r",
        "study": "tiny",
        "made": "2026-01-01T00:00:00+00:00",
        "step": 0,
        "steps": 9,
        "loss": 2.0,
        "lower": 1.9,
        "upper": 2.1,
        "level": LEVEL,
        "inflation": 1.0,
    } | wrong
    said["hash"] = digest(said, 20)
    (tmp_path / "track" / "r").mkdir(parents=True)
    (tmp_path / "track" / "r" / "own.json").write_text(json.dumps(said))
    (row,) = track.track_record(tmp_path).to_dict("records")
    assert not row["counts"] and ("empty" in row["outcome"] or "steps" in wrong)


def test_a_prediction_of_what_is_measured_as_zero_is_missed(monkeypatch, tmp_path) -> None:
    prediction = {
        "run_id": "r",
        "study": "tiny",
        "column": "task.copy.accuracy",
        "made": "2026-01-01T00:00:00+00:00",
        "step": 0,
        "steps": 9,
        "loss": 0.2,
        "lower": 0.1,
        "upper": 0.3,
        "level": LEVEL,
        "inflation": 1.0,
    }
    prediction["hash"] = digest(prediction, 20)
    (tmp_path / "track" / "r").mkdir(parents=True)
    (tmp_path / "track" / "r" / "own.json").write_text(json.dumps(prediction))
    final = SimpleNamespace(validation_loss=2.0)
    record = SimpleNamespace(final=final, columns={"task.copy.accuracy": 0.0}, steps=9)
    monkeypatch.setattr(RunFolder, "done", lambda self: SimpleNamespace(status=State.DONE))
    monkeypatch.setattr(RunFolder, "record", lambda self: record)
    monkeypatch.setattr(track, "_before_the_end", lambda *of_run: True)
    (row,) = track.track_record(tmp_path).to_dict("records")
    assert (row["outcome"], row["counts"], row["measured"]) == ("missed", True, 0.0)
