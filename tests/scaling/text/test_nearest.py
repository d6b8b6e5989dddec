"""A name that is not there is answered with the nearest one."""

from __future__ import annotations

import pytest

from scalinglab.scaling.text.nearest import nearest

KNOWN = ["optimizer.name", "optimizer.lr", "model.width", "seed"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("optimizer.nmae", "; did you mean 'optimizer.name'?"),
        ("widht", "; did you mean 'model.width'?"),
        ("zzz", "; it has model.width, optimizer.lr, optimizer.name, seed"),
    ],
)
def test_the_nearest_or_all(name: str, said: str) -> None:
    assert nearest(name, KNOWN, "it has") == said


def test_of_many_some_are_shown() -> None:
    said = nearest("zzz", [f"key{i:03d}" for i in range(100)])
    assert said.startswith("; there are key000, ") and said.endswith("key029 and 70 more")
