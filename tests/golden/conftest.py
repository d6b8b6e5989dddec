"""A copy of the lab."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import lab


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """The outputs of a copy of the lab."""
    return lab.open_lab(tmp_path / "lab")
