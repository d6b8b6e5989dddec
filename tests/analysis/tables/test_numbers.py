"""Numbers of tables, to the last bit with every pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.tables.numbers import as_floats, read_csv_exactly, to_numbers


@pytest.fixture
def written() -> np.ndarray:
    """Numbers whose shortest text has up to 17 digits, of all sizes."""
    random = np.random.default_rng(0)
    return np.concatenate([random.normal(size=2_000), np.exp(random.uniform(-600, 600, 2_000))])


def test_text_becomes_numbers_to_the_last_bit(written) -> None:
    text = pd.Series([*map(repr, written.tolist()), "x", "", "inf"])
    values = to_numbers(text).to_numpy()
    assert values[: len(written)].tobytes() == written.tobytes()
    assert np.isnan(values[-3:-1]).all() and np.isinf(values[-1])
    assert to_numbers(pd.Series(["1", "2"])).dtype == np.int64


def test_a_file_is_read_to_the_last_bit(tmp_path, written) -> None:
    path = tmp_path / "curve.csv"
    path.write_text("step,loss\n" + "".join(f"{i},{x!r}\n" for i, x in enumerate(written.tolist())))
    read = read_csv_exactly(path)
    assert read["loss"].to_numpy().tobytes() == written.tobytes()
    assert read["step"].dtype == np.int64


def test_large_whole_numbers_do_not_wrap_around() -> None:
    table = as_floats(pd.DataFrame({"N": [10**10], "D": [10**12], "seed": [10**9], "batch": [8]}))
    assert (6 * table["N"] * table["D"]).tolist() == [6e22]
    assert table["seed"].dtype == table["batch"].dtype == np.int64
