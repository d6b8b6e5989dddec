"""How long something takes, in words."""

from __future__ import annotations

import pytest

from scalinglab.scaling.text.duration import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12.4, "12 s"),
        (59.6, "1 min 00 s"),
        (200, "3 min 20 s"),
        (3_900, "1 h 05 min"),
        (4_430, "1 h 14 min"),
        (7_199, "2 h 00 min"),
        (90_000, "25 h 00 min"),
    ],
)
def test_it_is_told_in_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text
