"""Tables of a page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.reporting.page import table


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1.4057, 1.63, np.nan], ["1.4057", "1.6300", ""]),  # one size: decimals line up
        ([676.06, 1.3855], ["676.06", "1.3855"]),  # of several sizes: five digits each
        ([2.5559e7, 5e7], ["2.5559e7", "5e7"]),
        ([1000, 5], ["1,000", "5"]),
    ],
)
def test_numbers_of_one_size_have_equal_decimals(values: list, texts: list[str]) -> None:
    html = table(pd.DataFrame({"x": values}))
    assert [f"<td class='number'>{text}</td>" in html for text in texts] == [True] * len(texts)
