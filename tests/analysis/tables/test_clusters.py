"""Rows that belong together, by one label."""

from __future__ import annotations

import pandas as pd

from scalinglab.analysis.tables.clusters import row_labels


def test_rows_have_equal_labels_where_they_are_equal() -> None:
    table = pd.DataFrame({"N": [1e7, 1e7, 2e7], "arm": ["a", "a", "a"]}, index=[3, 5, 9])
    labels = row_labels(table)
    assert labels.tolist() == ["10000000.0/a", "10000000.0/a", "20000000.0/a"]
    assert labels.index.tolist() == [3, 5, 9]
    assert row_labels(table.iloc[:0]).empty
