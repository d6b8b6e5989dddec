"""Keys of a configuration: range or allowed names, default, historic value.

A dataclass declares its keys by `setting`; `scalinglab.scaling.read_options` builds it from plain
values, `scalinglab.scaling.choices` knows which keys are used with which choice.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, TypeVar

from scalinglab.scaling.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Within:
    """The numbers that a key allows: from `least` to `most`.

    Attributes
    ----------
    least, most : float
        The ends.
    above, below : bool
        Whether the lower and the upper end itself are left out.
    open : bool
        Whether both are.
    """

    least: float = -math.inf
    most: float = math.inf
    open: bool = False
    above: bool = False
    below: bool = False

    def __contains__(self, value: float) -> bool:
        """Whether a number is allowed."""
        lower = self.least < value if self.open or self.above else self.least <= value
        return lower and (value < self.most if self.open or self.below else value <= self.most)

    def __str__(self) -> str:
        """As it stands in a sentence: "above 0 and below 1"."""
        above, below = self.open or self.above, self.open or self.below
        if self.least == -math.inf:
            return f"below {self.most:,g}" if below else f"up to {self.most:,g}"
        if self.most == math.inf:
            return f"above {self.least:,g}" if above else f"{self.least:,g} or more"
        if not above and not below:
            return f"{self.least:,g} to {_number(self.most)}"
        lower = f"above {self.least:,g}" if above else f"{self.least:,g} or more"
        return f"{lower} and below {self.most:,g}" if below else f"{lower}, up to {self.most:,g}"


def _number(value: float) -> str:
    """Whole numbers in full: 9,223,372,036,854,775,807."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:g}"


AT_LEAST_0, AT_LEAST_1 = Within(0), Within(1)
ABOVE_0 = Within(0, open=True)
FRACTION = Within(0, 1)


def once_per_class(function: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
    """``functools.cache`` for what a class decides (its own type takes no ``type[Any]``)."""
    cached: Any = functools.cache(function)
    return cached


def setting(
    default: Any = MISSING,
    allowed: Within | Iterable[str] | None = None,
    *,
    historic: Any = MISSING,
    used_with: tuple[str, tuple[str, ...]] | None = None,
) -> Any:
    """A field of a configuration.

    Parameters
    ----------
    default : any
        Its value where a person gives none; none: it must be given.
    allowed : Within or iterable of str, optional
        The numbers, or the names, that it may have; of a list, each of its items.
    historic : any
        The value that all runs had which were recorded before the key was part of the identity
        (``scalinglab.scaling.records.identity``).
    used_with : (str, tuple of str), optional
        Another key, and the values of it with which this one is used: with all others it must
        stay at its default.
    """
    metadata: dict[str, Any] = {}
    if isinstance(allowed, Within):
        metadata["within"] = allowed
    elif allowed is not None:
        metadata["among"] = tuple(allowed)
    if historic is not MISSING:
        metadata["historic"] = historic
    if used_with is not None:
        metadata["used_with"] = used_with
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def check_value(value: Any, metadata: Mapping[str, Any], path: str) -> None:
    """Raise `ConfigError` unless a typed value, or each of a list,
    is allowed by a field's metadata.
    """
    within, among = metadata.get("within"), metadata.get("among")
    if within is None and among is None:
        return
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check_one(item, within, among, f"{path}[{i}]")
    elif value is not None:
        _check_one(value, within, among, path)


def _check_one(value: Any, within: Within | None, among: tuple[str, ...] | None, path: str) -> None:
    is_word = isinstance(value, str)  # where both are allowed: a number within, or a word among
    if within is not None and not is_word and value not in within:
        raise ConfigError(f"{path} = {value}: allowed is {within}")
    if among is not None and (is_word or within is None):
        one_of(path, value, among)


@once_per_class
def keys_of(cls: type[Any]) -> tuple[str, ...]:
    """The keys of a dataclass."""
    return tuple(f.name for f in dataclasses.fields(cls))


def defaults(cls: type[Any]) -> dict[str, Any]:
    """Key -> default, of the keys that have one."""
    return {key: value() if callable(value) else value for key, value in _defaults(cls).items()}


@once_per_class
def _defaults(cls: type[Any]) -> dict[str, Any]:
    """Key -> default, or what makes one."""
    return {
        f.name: f.default if f.default is not MISSING else f.default_factory
        for f in dataclasses.fields(cls)
        if not is_required(f)
    }


@once_per_class
def historic_values(cls: type[Any]) -> dict[str, Any]:
    """Key -> the value that runs had before the key was a part of the identity."""
    return {
        f.name: f.metadata["historic"] for f in dataclasses.fields(cls) if "historic" in f.metadata
    }


def unknown_key(path: str, allowed: Iterable[str]) -> str:
    """The sentence for a key that does not exist, with the nearest ones that do."""
    parent, _, key = path.rpartition(".")
    allowed = sorted(allowed)
    if not allowed:
        return f"unknown key '{path}': there are no keys in {parent}"
    near = (
        difflib.get_close_matches(key.lower(), allowed, n=1)
        or difflib.get_close_matches(key, allowed, n=1)
        or [name for name in allowed if key and name.startswith(key)]
    )
    hint = f"; did you mean '{join_path(parent, near[0])}'?" if near else "."
    return f"unknown key '{path}'{hint} Allowed here: {', '.join(allowed)}"


def one_of(path: str, value: str, allowed: Iterable[str]) -> None:
    """Raise `ConfigError` unless `value` is among `allowed`; it offers the nearest one."""
    allowed = list(allowed)
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        listed = ", ".join(name for name in allowed if name)
        raise ConfigError(f"{path} = {value!r} is not one of: {listed}{hint}")


def is_required(f: dataclasses.Field[Any]) -> bool:
    """Whether a key has no default: it must be given."""
    return f.default is MISSING and f.default_factory is MISSING


def join_path(path: str, key: str) -> str:
    """The dotted name of a key in a group; of none, the key."""
    return f"{path}.{key}" if path else str(key)
