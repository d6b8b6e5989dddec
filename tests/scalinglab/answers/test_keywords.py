"""Options as keywords: whatever Python holds is what the command line would give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalinglab.answers.keywords import keywords, read_keywords
from scalinglab.options import option
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0


@dataclass(frozen=True, kw_only=True)
class Asked:
    steps: int = option("how many")
    budgets: list[float] = option("some numbers", [], ABOVE_0)
    to: str | None = option("a file", None)
    grid: dict[str, Any] = option("axes", {})


def test_values_of_python_are_those_of_the_command_line() -> None:
    asked = read_keywords(
        Asked,
        {
            "steps": np.int64(3),
            "budgets": np.array([1e9, 2e9]),
            "to": Path("a/b"),
            "grid": {"width": (8, np.int64(16))},
        },
    )
    assert asked == Asked(steps=3, budgets=[1e9, 2e9], to="a/b", grid={"width": [8, 16]})
    assert read_keywords(Asked, {"steps": 1, "budgets": 5}).budgets == [5.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "steps is not set"),
        ({"steps": 1.5}, "steps = 1.5: expected a whole number"),
        ({"steps": 1, "budgets": [-1]}, "allowed is above 0"),
        ({"steps": 1, "budget": [1]}, "unknown key 'budget'; did you mean 'budgets'?"),
    ],
)
def test_a_mistake_is_refused(given, message) -> None:
    with pytest.raises(ConfigError) as refused:
        read_keywords(Asked, given)
    assert message in str(refused.value)


def test_a_method_takes_the_fields() -> None:
    class Thing:
        @keywords(Asked)
        def ask(self, asked: Asked) -> int:
            """Ask."""
            return asked.steps

    assert Thing().ask(steps=4) == 4
    assert (Thing.ask.__doc__ or "").startswith("Ask.\n\nParameters\n")
    with pytest.raises(TypeError):
        Thing().ask(4)  # type: ignore[misc]
