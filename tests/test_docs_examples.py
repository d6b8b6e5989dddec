"""What the pages in docs/ show in Python can be copied and run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = [
    pytest.param(text, id=f"{page.name}-{i}")
    for page in sorted((ROOT / "docs").rglob("*.md"))
    if page.parent.name != "gallery"  # its blocks go on from each other, and all are run
    for i, text in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_defines_what_it_names(text: str) -> None:
    check = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,F811"]
    found = subprocess.run([*check, "-"], input=text, text=True, capture_output=True)
    assert found.returncode == 0, found.stdout


def test_the_first_example_of_laws_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    N, D = (v.ravel() for v in np.meshgrid([1e6, 2e6, 4e6, 8e6], [2e7, 5e7, 1e8, 3e8]))
    noise = np.exp(0.002 * np.random.default_rng(0).standard_normal(N.size))
    loss = (1.8 + 400 / N**0.34 + 410 / D**0.28) * noise
    pd.DataFrame({"N": N, "D": D, "loss": loss}).to_csv("points.csv", index=False)
    (text,) = (p.values[0] for p in EXAMPLES if p.id == "laws.md-0")
    named: dict[str, Any] = {}
    exec(text, named)
    assert 1 < named["result"].params["E"] < 2.5
