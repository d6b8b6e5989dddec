"""Plain values become typed options, or are refused in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional, Union

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, setting
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.registry import Registry


@dataclass(frozen=True)
class Ladder:
    """Options that are named as what a class says of how it is read."""

    classes: int = 3
    older: str = "no"


@dataclass(frozen=True)
class OfSeveralTypes:
    either: str | float = 1.0
    any_of_three: str | float | None = None
    spelled_out: Optional[int] = None  # noqa: UP045 - as an extension may write it
    one_of: Union[str, float] = "x"  # noqa: UP007


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ({"either": "x"}, "x"),
        ({"either": 2}, 2.0),
        ({"any_of_three": None}, None),
        ({"any_of_three": 2}, 2.0),
        ({"spelled_out": None}, None),
        ({"spelled_out": 3}, 3),
        ({"one_of": 0.5}, 0.5),
    ],
)
def test_an_option_may_be_of_several_types(values, read) -> None:
    (key,) = values
    assert getattr(from_dict(OfSeveralTypes, values), key) == read


@pytest.mark.parametrize("values", [{"either": None}, {"one_of": None}, {"spelled_out": "x"}])
def test_none_is_read_only_where_the_type_has_it(values) -> None:
    with pytest.raises(ConfigError, match="expected a"):
        from_dict(OfSeveralTypes, values)


def test_an_option_may_have_any_name() -> None:
    assert from_dict(Ladder, {"classes": 5}) == Ladder(5) and from_dict(Ladder, {}) == Ladder()


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


@dataclass(frozen=True)
class Thing:
    shape: Shape


def test_the_chooser_names_the_class() -> None:
    assert from_dict(Shape, {}) == Round()
    assert from_dict(Thing, {"shape": {"kind": "box", "edges": [2]}}).shape == Box(edges=[2.0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "bax"}, "shape.kind = 'bax' is not one of: round, box"),
        ({"kind": 3}, "shape.kind = 3: expected a string"),
        ({"kind": "box", "radius": 2}, "shape.radius = 2: shape.kind = 'box' does not use it; it"),
        ({"raduis": 2}, "unknown key 'shape.raduis'; did you mean 'shape.radius'?"),
        ({"radius": 0}, "shape.radius = 0.0: allowed is above 0"),
        ({"kind": "box", "edges": [1, -1]}, "shape.edges[1] = -1.0: allowed is above 0"),
        ({"kind": "box", "lid": "open"}, "shape.lid = 'open' is not one of: none, flat"),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence(values, message) -> None:
    with pytest.raises(ConfigError) as caught:
        from_dict(Shape, values, "shape")
    assert message in str(caught.value)
