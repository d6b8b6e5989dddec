"""A record says what was trained and how it ended, and is read as it was written."""

import json
from dataclasses import replace

import numpy as np
import pytest

from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.curve import Curve
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.record import build_record, read_record


def curve(steps=10, **validation):
    rng = np.random.default_rng(0)
    loss, norm = rng.random((2, steps)).astype(np.float32)
    return Curve(loss, norm, {int(k[1:]): v for k, v in validation.items()})


@pytest.fixture
def run(make_run):
    spec = make_run().spec()
    changes = {"family_id": "fam", "tokens_per_step": 64, "unique_tokens": 320}
    return replace(spec, **changes, irreducible_loss=0.25)


def test_a_record_says_what_was_trained_and_how_it_ended(run):
    record = build_record(run, curve(10, s10=0.5), status="done", attempt=2)
    assert (record["steps"], record["tokens"], record["epochs"]) == (10, 640, 2.0)
    assert (record["cluster"], record["status"], record["attempt"]) == ("fam", "done", 2)
    assert record["final"]["validation_loss"] == 0.5
    assert record["final"]["irreducible_loss"] == 0.25
    assert record["final"]["train_loss"] == float(curve().loss[-1])


def test_a_diverged_run_has_no_final_validation_loss(run):
    record = build_record(run, curve(4, s4=0.5), status="diverged")
    assert record["final"]["validation_loss"] is None
    assert record["tokens"] == 256
    json.dumps(record, allow_nan=False)


def test_a_run_that_diverged_before_its_first_step_has_a_record(run):
    record = build_record(run, Curve.empty(), status="diverged")
    assert (record["steps"], record["final"]["train_loss"]) == (0, None)


# ---------------------------------------------------------------------- read again


def read_again(tmp_path, record):
    path = tmp_path / "record-0001.json"
    write_json(path, record)
    return read_record(path, read_json(path))


def test_a_record_is_read_as_it_was_written(run, tmp_path):
    facts = {"throughput": {"seconds": 2.0, "members": 2, "tokens_per_second": 30.0}}
    record = read_again(
        tmp_path, build_record(run, curve(10, s10=0.5), status="done", attempt=2, **facts)
    )
    assert record.spec.science == run.science and record.spec.family_id == "fam"
    assert (record.status, record.attempt, record.steps, record.tokens) == ("done", 2, 10, 640)
    assert record.final.validation_loss == 0.5 and record.final.irreducible_loss == 0.25
    assert record.throughput.own_rate == 15.0 and record.machine.engine is None


def test_open_columns_are_what_was_measured_at_the_end_or_left_beside(run, tmp_path):
    measured = {4: {"noise": 1.0}, 10: {"noise": 3.0, "logit_max": 2.0}}
    whole = replace(curve(10, s10=0.5), measured=measured)
    record = build_record(run, whole, status="done", extra={"hellaswag": 0.3})
    columns = read_again(tmp_path, record).columns
    assert columns == {"noise": 3.0, "logit_max": 2.0, "hellaswag": 0.3}
    record["measured"] = {"step": [4], "noise": [1.0]}  # not at the end
    assert read_again(tmp_path, record).columns == {"hellaswag": 0.3}


def test_a_record_of_the_first_version_measured_nothing(run, tmp_path):
    record = build_record(run, curve(10, s10=0.5), status="done")
    for key in ("measured", "stability"):
        del record[key]
    assert read_again(tmp_path, record).columns == {}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"status": "lost"}, "'lost' is not a valid State.*other code wrote it"),
        ({"science": {}}, "KeyError"),
        ({"config": {"schedule": 3}}, "TypeError"),
        ({"throughput": 3}, "TypeError"),
        ({"epochs": ...}, "TypeError.*epochs"),
    ],
)
def test_what_is_no_record_is_named(run, tmp_path, change, why):
    record = build_record(run, curve(10, s10=0.5), status="done") | change
    record = {key: value for key, value in record.items() if value is not ...}
    with pytest.raises(DamagedFile, match=f"record-0001.json is damaged: .*{why}"):
        read_again(tmp_path, record)


def test_a_record_of_another_version_is_refused(run, tmp_path):
    record = build_record(run, curve(10, s10=0.5), status="done") | {"record_version": 9}
    with pytest.raises(ValueError, match="has version 9; this code reads 1"):
        read_again(tmp_path, record)
