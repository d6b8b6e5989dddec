"""What the tests of the network share."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def the_same_random_numbers() -> None:
    """Whatever ran before in this process; only tests that import torch draw of it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
