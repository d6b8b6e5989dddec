"""What the tests of the network share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def the_same_random_numbers() -> None:
    """Whatever ran before in this process."""
    torch.manual_seed(0)
