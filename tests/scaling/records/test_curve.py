"""A curve reads back to the same bits, and equal curves are equal files."""

import gzip
import io
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scalinglab.scaling.records.curve import COLUMNS, Curve, bits_per_byte, curve_text, write_curve


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
