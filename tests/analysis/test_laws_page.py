"""docs/laws.md names every law, and its example runs."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis import fit
from scalinglab.analysis.laws import LAWS

PAGE = (Path(__file__).parents[2] / "docs" / "laws.md").read_text()


def test_every_law_is_on_the_page():
    missing = [name for name, law in LAWS.items() if f"`{name}`" not in PAGE]
    assert missing == []


def test_the_law_of_ones_own_is_fitted():
    D = np.geomspace(1e7, 1e10, 20)
    runs = pd.DataFrame({"D": D, "loss": 2 + 3 / (1 + D / 3e8)})
    examples = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    example = next(code for code in examples if "Law(" in code)
    try:
        exec(example, {})
        assert fit("saturating", runs).params["middle"] == pytest.approx(3e8, rel=1e-4)
    finally:
        del LAWS["saturating"]
