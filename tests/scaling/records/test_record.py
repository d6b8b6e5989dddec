"""A record reads back to the same bits, and equal curves are equal files."""

import gzip
import io
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile
from scalinglab.scaling.records.record import (
    COLUMNS,
    Curve,
    bits_per_byte,
    build_record,
    curve_text,
    read_record,
    write_curve,
)


def curve(steps=10, **validation):
    rng = np.random.default_rng(0)
    loss, norm = rng.random((2, steps)).astype(np.float32)
    return Curve(loss, norm, {int(k[1:]): v for k, v in validation.items()})


def read(text):
    """As exact as pandas can: since 3.0 that is the default, and saying so warns."""
    exact = {"float_precision": "round_trip"} if pd.__version__ < "3" else {}
    return pd.read_csv(io.StringIO(text), **exact)


@given(arrays(np.float32, 7, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_float32_bits_come_back_through_pandas(loss):
    frame = read(curve_text(Curve(loss, loss, {}), np.ones(7), 1, 1.0))
    for column in ("loss", "grad_norm"):
        assert np.array_equal(
            frame[column].to_numpy(np.float32).view(np.uint32) | 2**31, loss.view(np.uint32) | 2**31
        )  # but for the sign of a zero


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=1e-30, max_value=1e30))
def test_float64_rates_and_validation_losses_come_back(value):
    frame = read(curve_text(curve(3, s2=value), np.full(3, value), 1, 1.0))
    assert frame["lr"].tolist() == [value] * 3
    assert frame["validation_loss"][1] == value


def test_rows_are_updates_and_validation_stands_where_it_was_measured():
    frame = read(curve_text(curve(5, s2=1.5, s5=0.5), np.arange(5) / 10, 64, 2.0))
    assert tuple(frame.columns) == COLUMNS
    assert frame["step"].tolist() == [1, 2, 3, 4, 5]
    assert frame["tokens"].tolist() == [64, 128, 192, 256, 320]
    assert frame["lr"].tolist() == [0.0, 0.1, 0.2, 0.3, 0.4]
    measured = frame.dropna(subset="validation_loss").set_index("step")
    assert measured["validation_loss"].to_dict() == {2: 1.5, 5: 0.5}
    assert measured["validation_bpb"].to_dict() == pytest.approx(
        {2: 1.5 / math.log(2) / 2, 5: 0.5 / math.log(2) / 2}
    )


def test_a_number_that_is_not_finite_is_an_empty_cell():
    values = np.array([1, np.nan, np.inf], np.float32)
    frame = read(curve_text(Curve(values, values, {}), np.ones(3), 1, 1.0))
    assert frame["loss"].isna().tolist() == [False, True, True]


def test_equal_curves_are_equal_files(tmp_path):
    text = curve_text(curve(), np.ones(10), 1, 1.0)
    for name in ("a.csv.gz", "b.csv.gz"):
        write_curve(tmp_path / name, text)
    one, other = (tmp_path / name for name in ("a.csv.gz", "b.csv.gz"))
    assert one.read_bytes()[4:8] == bytes(4)  # no time of writing
    assert one.read_bytes() == other.read_bytes()
    assert gzip.decompress(one.read_bytes()).decode() == text


def test_one_changed_bit_is_another_file():
    changed = curve()
    changed.loss.view(np.uint32)[3] ^= 1
    assert curve_text(changed, np.ones(10), 1, 1.0) != curve_text(curve(), np.ones(10), 1, 1.0)


def test_bits_per_byte():
    """Two tokens of one bit each for a byte are two bits; 8 bits a token of 4 bytes are two."""
    assert bits_per_byte(math.log(2), 0.5) == pytest.approx(2)
    assert bits_per_byte(8 * math.log(2), 4.0) == pytest.approx(2)


# ---------------------------------------------------------------------- the record


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
