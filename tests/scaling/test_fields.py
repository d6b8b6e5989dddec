"""What a key allows is declared with it, and said in one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, Within, setting
from scalinglab.scaling.read_options import check_ranges


@pytest.mark.parametrize(
    ("within", "sentence", "inside", "outside"),
    [
        (Within(0), "0 or more", [0, 5], [-1]),
        (ABOVE_0, "above 0", [1e-9], [0, -1]),
        (Within(0, 1), "0 to 1", [0, 1], [1.1, math.nan]),
        (Within(0, 0.5), "0 to 0.5", [0.5], [0.51]),
        (Within(0, 1, open=True), "above 0 and below 1", [0.5], [0, 1]),
        (Within(0, 1, above=True), "above 0, up to 1", [1], [0]),
        (Within(0, 1, below=True), "0 or more and below 1", [0], [1]),
        (Within(most=0, below=True), "below 0", [-1], [0]),
    ],
    ids=str,
)
def test_a_range_says_what_it_allows(within, sentence, inside, outside) -> None:
    assert str(within) == sentence
    assert all(value in within for value in inside)
    assert not any(value in within for value in outside)


@dataclass(frozen=True)
class Box:
    size: int = setting(1, AT_LEAST_1)


@dataclass(frozen=True)
class Thing:
    shape: Box


def test_what_is_made_without_reading_is_checked_by_the_same_ranges() -> None:
    with pytest.raises(ConfigError, match=r"shape\.size = 0: allowed is 1 or more"):
        check_ranges(Thing(Box(size=0)))
