"""Which keys are used with a choice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.choices import with_choice, without_leftovers
from scalinglab.scaling.fields import (
    ABOVE_0,
    AT_LEAST_1,
    setting,
)
from scalinglab.scaling.registry import Registry

SHAPES: Registry[type[Shape]] = Registry("shape.kind")


@dataclass(frozen=True, kw_only=True)
class Shape:
    choices: ClassVar[Registry[type[Shape]]] = SHAPES
    chooser: ClassVar[str] = "kind"
    kind: str = "round"
    size: int = setting(1, AT_LEAST_1)


@SHAPES.register("round")
@dataclass(frozen=True, kw_only=True)
class Round(Shape):
    radius: float = setting(1.0, ABOVE_0)


@SHAPES.register("box")
@dataclass(frozen=True, kw_only=True)
class Box(Shape):
    kind: str = "box"
    edges: list[float] = setting([1.0], ABOVE_0)
    lid: str = setting("none", ("none", "flat"))


def test_another_choice_keeps_what_both_use() -> None:
    box = with_choice(Shape, {"kind": "round", "size": 3, "radius": 2.0}, "kind", "box", "shape")
    assert box == {"kind": "box", "size": 3, "edges": [1.0], "lid": "none"}


def test_only_what_a_file_brought_for_another_choice_is_dropped() -> None:
    file = {"kind": "round", "size": 1, "radius": 1.0}
    group = file | {"kind": "box", "radius": 1.0}
    assert without_leftovers(Shape, group, file) == {"kind": "box", "size": 1}
    touched = group | {"radius": 2.0}
    assert without_leftovers(Shape, touched, file) == {"kind": "box", "size": 1, "radius": 2.0}
