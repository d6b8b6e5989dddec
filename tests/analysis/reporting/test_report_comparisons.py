"""Approaches side by side in a report: by their numbers, each refusal once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd

from scalinglab.analysis.reporting.report_comparisons import approaches_section


def test_approaches_stand_by_number_and_each_refusal_once() -> None:
    exponents = pd.DataFrame(
        {
            "approach": ["1 envelope", "3 surface"],
            "a": [0.389, 0.502],
            "a_lower": [-0.049, 0.482],
            "a_upper": [0.716, 0.525],
            "seen": [4, 57],
        }
    )
    refused = pd.DataFrame(
        {
            "approach": ["2 IsoFLOP", "2 IsoFLOP"],
            "C": [1e18, np.nan],
            "why": ["too few sizes", "a power law needs two"],
        }
    )
    splits = pd.DataFrame({"approach": ["3 surface"], "C": [1e20], "N": [1e9]})
    approaches = SimpleNamespace(exponents=exponents, refused=refused, table=splits)
    answer = cast("Any", SimpleNamespace(allocation=splits, approaches=approaches))
    (section,) = approaches_section(answer)
    assert list(section.tables[0]["approach"]) == ["1 envelope", "2 IsoFLOP", "3 surface"]
    assert section.tables[0]["found from"][1] == "refused: a power law needs two"
    assert list(section.refused) == [
        "approach 2 IsoFLOP, 1 budget (C = 1e+18) refused: too few sizes"
    ]
    assert section.text.startswith("Two of three approaches")
    assert "1 envelope leaves a open" in section.text and "3 surface" not in section.text
