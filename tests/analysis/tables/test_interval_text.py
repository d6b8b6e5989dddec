"""Numbers with their intervals as texts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.tables.interval_text import (
    four_digits,
    parameter_text,
    with_intervals,
)


def test_an_infinite_end_is_unbounded_and_an_unknown_value_empty() -> None:
    table = pd.DataFrame({"m": [2.0, np.nan], "m_lower": [1.0, 1.0], "m_upper": [np.inf, 2.0]})
    assert with_intervals(table)["m"].tolist() == ["2.00 (1.00 to unbounded)", ""]
    assert with_intervals(pd.DataFrame({"m": [np.inf]}))["m"].tolist() == ["unbounded"]


def test_four_digits_of_nearly_a_million_are_written_in_full() -> None:
    assert [four_digits(n) for n in (999_700.0, 999_949.0, 999_960.0)] == [
        "999,700",
        "999,900",
        "1e+06",
    ]


def test_parameters_have_three_decimals_as_in_sentences() -> None:
    rows = [(1.6749, 1.634, 1.713), (22.9, 9.11, 88.4), (0.0, 0.0, 0.723), (0.5, np.nan, np.nan)]
    names = ("value", "value_lower", "value_upper")
    assert [parameter_text(dict(zip(names, row, strict=True))) for row in rows] == [
        "1.675 (1.634 to 1.713)",
        "22.9 (9.11 to 88.4)",
        "0.000 (0.000 to 0.723)",
        "0.500",
    ]
