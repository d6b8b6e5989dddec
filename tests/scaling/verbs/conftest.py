"""What the tests of several verbs share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def own(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished study to train on."""
    folder = tmp_path / "own"
    shutil.copytree(finished.parent, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder
