"""Dataclasses from plain dictionaries: every key has a type, and says itself what it allows.

A field that is declared by `setting` carries its range, or the names it allows, in its metadata;
`from_dict` reads, types and checks a whole configuration. A dataclass with the class attributes
``choices`` (a registry) and ``chooser`` (a field) stands for several: the value of the chooser
names the class whose keys are allowed.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import operator
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, TypeVar

from scalinglab.scaling.errors import UserError

T = TypeVar("T")
_LARGEST = sys.float_info.max
_SCALARS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


class ConfigError(UserError):
    """A mistake in a configuration: names the key, the value and what is allowed."""


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


def _once(function: Callable[[type[Any]], T]) -> Callable[[type[Any]], T]:
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


# ---------------------------------------------------------------------- reading


def from_dict(cls: type[Any], values: Any, path: str = "") -> Any:
    """Build the dataclass `cls` from a plain dictionary, strictly.

    Parameters
    ----------
    cls : type
        A dataclass whose fields are numbers, strings, dictionaries or dataclasses.
    values : dict
        Plain values. Whole floats are accepted for integers (``tokens=1e6``).
    path : str
        The dotted key under which `values` stands, for messages.

    Raises
    ------
    ConfigError
        On an unknown or missing key, a value of the wrong type or out of its range, and on a key
        that what was chosen does not use.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{path or cls.__name__} = {values!r}: expected a group of keys")
    values = cls.older(values) if _has_hook(cls, "older") else values
    cls = chosen_class(cls, values, path)
    classes = cls.classes(values) if _has_hook(cls, "classes") else {}
    keys = _keys(cls)
    for key in values:
        if key not in keys:
            raise ConfigError(no_such_key(cls, key, values[key], values, path))
    arguments = {}
    for name, key in keys.items():
        if name in values and name in classes:
            arguments[name] = from_dict(classes[name], values[name], _join(path, name))
        elif name in values:
            arguments[name] = key.read(values[name], _join(path, name))
        elif key.required:
            raise ConfigError(f"missing key '{_join(path, name)}'")
    built = cls(**arguments)
    for name in _conditional(cls):
        _check_used(built, name, path)
    return built


def _has_hook(cls: type[Any], name: str) -> bool:
    """Whether a class says more of how it is read; a key of that name is no hook."""
    return hasattr(cls, name) and name not in keys_of(cls)


def check_ranges(options: Any, path: str = "") -> None:
    """Raise `ConfigError` where a value of a dataclass, or of one in it, is none that is allowed."""
    for name, key in _keys(type(options)).items():
        value = getattr(options, name)
        if key.group is not None and isinstance(value, str):
            key.group.choices.find(value, _join(path, name))
        elif key.group is not None and value is not None:
            check_ranges(value, _join(path, name))
        key.check(value, _join(path, name))


def chosen_class(cls: type[Any], values: Mapping[str, Any], path: str = "") -> type:
    """The class that a group of keys chooses, where `cls` stands for several; else `cls`."""
    choices = getattr(cls, "choices", None)
    if choices is None:
        return cls
    key = _join(path, cls.chooser)
    name = _scalar(str, values.get(cls.chooser, getattr(cls, cls.chooser)), key)
    return choices.find(name, key)


def is_used(options: Any, key: str) -> bool:
    """Whether what is chosen in a dataclass makes use of one of its keys."""
    chooser, values = _conditional(type(options)).get(key, ("", ()))
    return not chooser or getattr(options, chooser) in values


@_once
def keys_of(cls: type[Any]) -> tuple[str, ...]:
    """The keys of a dataclass."""
    return tuple(f.name for f in dataclasses.fields(cls))


def defaults(cls: type[Any]) -> dict[str, Any]:
    """Key -> default, of the keys that have one."""
    return {key: value() if callable(value) else value for key, value in _defaults(cls).items()}


@_once
def _defaults(cls: type[Any]) -> dict[str, Any]:
    """Key -> default, or what makes one."""
    return {
        f.name: f.default if f.default is not MISSING else f.default_factory
        for f in dataclasses.fields(cls)
        if not _is_required(f)
    }


@_once
def historic_values(cls: type[Any]) -> dict[str, Any]:
    """Key -> the value that runs had before the key was a part of the identity."""
    return {
        f.name: f.metadata["historic"] for f in dataclasses.fields(cls) if "historic" in f.metadata
    }


@_once
def choosers(cls: type[Any]) -> frozenset[str]:
    """The keys of a group whose values decide which others are used."""
    its_chooser = {cls.chooser} if hasattr(cls, "choices") else set()
    return frozenset(its_chooser | {chooser for chooser, _ in _conditional(cls).values()})


def class_of(cls: type[Any], key: str, values: Mapping[str, Any]) -> type | None:
    """The dataclass that reads a key of a group; None where it is no group of known keys."""
    classes = cls.classes(values) if _has_hook(cls, "classes") else {}
    return classes.get(key) or (_keys(cls)[key].group if key in _keys(cls) else None)


def has_key(cls: type[Any], key: str, values: Mapping[str, Any]) -> bool:
    """Whether a group that chooses as `values` do has a key."""
    return key in keys_of(chosen_class(cls, values))


def users_of(cls: type, key: str) -> list[str]:
    """The choices that have a key, where `cls` stands for several."""
    return [name for name, kind in getattr(cls, "choices", {}).items() if key in keys_of(kind)]


def with_choice(
    cls: type[Any], group: Mapping[str, Any], key: str, value: Any, path: str
) -> dict[str, Any]:
    """A group of keys whose chooser `key` has another value.

    What the new choice uses as well stays as it is, the rest is at its defaults; so one study may
    compare choices without naming the keys of each.
    """
    if group.get(key) == value:
        return dict(group)
    if hasattr(cls, "choices"):
        new = chosen_class(cls, {key: value}, path)
        stays = {k: v for k, v in group.items() if k in keys_of(new)}
        return defaults(new) | stays | {key: value}
    unused = [
        name
        for name, (chooser, values) in _conditional(cls).items()
        if chooser == key and value not in values
    ]
    return {**group, **{name: defaults(cls)[name] for name in unused}, key: value}


def without_leftovers(
    cls: type[Any], group: Mapping[str, Any], chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """A group without what a file brought for another choice than the one that was made after it.

    Parameters
    ----------
    cls : type
        The dataclass that reads the group.
    group, chosen : mapping
        The keys, and those of the file from which they started.
    """
    key = cls.chooser
    if group.get(key) == chosen.get(key):
        return dict(group)
    return {
        k: v
        for k, v in group.items()
        if has_key(cls, k, group) or k not in chosen or chosen[k] != v
    }


def no_such_key(cls: type[Any], key: str, value: Any, values: Mapping[str, Any], path: str) -> str:
    """The sentence for a key that a group does not have, maybe because another choice has it."""
    known_elsewhere, cls = bool(users_of(cls, key)), chosen_class(cls, values, path)
    if known_elsewhere:
        chooser = cls.chooser
        used = sorted(set(keys_of(cls)) - {chooser})
        return (
            f"{_join(path, key)} = {value}: {_join(path, chooser)} = {getattr(cls, chooser)!r} "
            f"does not use it; it uses {', '.join(used) or 'no other keys'}"
        )
    return unknown_key(_join(path, key), keys_of(cls))


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
    hint = f"; did you mean '{_join(parent, near[0])}'?" if near else "."
    return f"unknown key '{path}'{hint} Allowed here: {', '.join(allowed)}"


def one_of(path: str, value: str, allowed: Iterable[str]) -> None:
    """Raise `ConfigError` unless `value` is among `allowed`; it offers the nearest one."""
    allowed = list(allowed)
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{path} = {value!r} is not one of: {', '.join(allowed)}{hint}")


# ---------------------------------------------------------------------- one key


@dataclass(frozen=True)
class _Key:
    """How one key is read."""

    convert: Callable[[Any, str], Any]
    optional: bool  # whether it may be None
    required: bool
    within: Within | None
    among: tuple[str, ...] | None
    group: type | None  # the dataclass that it is

    def read(self, value: Any, path: str) -> Any:
        """Its typed value, which is allowed."""
        if self.optional and value is None:
            return None
        value = self.convert(value, path)
        if self.within is not None or self.among is not None:
            self.check(value, path)
        return value

    def check(self, value: Any, path: str) -> None:
        """Raise `ConfigError` unless a typed value is allowed."""
        if isinstance(value, list):
            for i, item in enumerate(value):
                self._check_one(item, f"{path}[{i}]")
        elif value is not None:
            self._check_one(value, path)

    def _check_one(self, value: Any, path: str) -> None:
        word = isinstance(value, str)  # where both are allowed: a number within, or a word among
        if self.within is not None and not word and value not in self.within:
            raise ConfigError(f"{path} = {value}: allowed is {self.within}")
        if self.among is not None and (word or self.within is None):
            one_of(path, value, self.among)


@_once
def _keys(cls: type[Any]) -> dict[str, _Key]:
    hints = typing.get_type_hints(cls)
    keys = {}
    for f in dataclasses.fields(cls):
        hint = hints[f.name]
        kinds = [kind for kind in typing.get_args(hint) if kind is not types.NoneType]
        optional = _is_union(hint) and len(kinds) < len(typing.get_args(hint))
        if optional:
            hint = functools.reduce(operator.or_, kinds)
        keys[f.name] = _Key(
            _converter(hint),
            optional,
            _is_required(f),
            f.metadata.get("within"),
            f.metadata.get("among"),
            _group_of(hint),
        )
    return keys


@_once
def _conditional(cls: type[Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The keys that are used with some values of another key only: that key, and those values."""
    return {
        f.name: f.metadata["used_with"]
        for f in dataclasses.fields(cls)
        if "used_with" in f.metadata
    }


def _check_used(built: Any, name: str, path: str) -> None:
    value, default = getattr(built, name), _defaults(type(built))[name]
    if value == (default() if callable(default) else default) or is_used(built, name):
        return
    chooser, values = _conditional(type(built))[name]
    raise ConfigError(
        f"{_join(path, name)} = {value}: {_join(path, chooser)} = {getattr(built, chooser)!r} does "
        f"not use it; it is used with {', '.join(values)}"
    )


def _is_union(hint: Any) -> bool:
    """Whether a type is one of several, written ``int | None`` or ``Optional[int]``."""
    return typing.get_origin(hint) in (types.UnionType, typing.Union)


def _is_required(f: dataclasses.Field[Any]) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _group_of(hint: Any) -> type | None:
    """The dataclass that a type is, or that it may be beside a name; None if none."""
    kinds = typing.get_args(hint) if _is_union(hint) else (hint,)
    found = (kind for kind in kinds if isinstance(kind, type) and dataclasses.is_dataclass(kind))
    return next(found, None)


def _converter(hint: Any) -> Callable[[Any, str], Any]:
    """What makes a value of a type, or refuses it: (value, path) -> value."""
    if hint in _SCALARS:
        return functools.partial(_scalar, hint)
    if hint is Any:
        return lambda value, path: value
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return functools.partial(from_dict, hint)
    if _is_union(hint) and (group := _group_of(hint)) is not None:
        return functools.partial(_chosen, group)
    if _is_union(hint):  # of scalars
        return functools.partial(_any_scalar, typing.get_args(hint))
    if typing.get_origin(hint) is dict:
        return functools.partial(_group, _converter(typing.get_args(hint)[1]))
    return functools.partial(_list, _converter(typing.get_args(hint)[0]))


def _chosen(cls: type[Any], value: Any, path: str) -> Any:
    """One of several that `cls` stands for: its name alone where an identity has no more of it."""
    if isinstance(value, str):
        cls.choices.find(value, path)
    built = from_dict(cls, {cls.chooser: value} if isinstance(value, str) else value, path)
    known = historic_values(type(built)) | {cls.chooser: getattr(built, cls.chooser)}
    plain = all(key in known and known[key] == value for key, value in vars(built).items())
    return getattr(built, cls.chooser) if plain else built


def _group(convert: Callable[[Any, str], Any], value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path} = {value!r}: expected a group of keys")
    return {key: convert(item, _join(path, key)) for key, item in value.items()}


def _list(convert: Callable[[Any, str], Any], value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"{path} = {value!r}: expected a list")
    return [convert(v, f"{path}[{i}]") for i, v in enumerate(value)]


def _any_scalar(hints: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None or isinstance(value, bool | list | dict):
        raise ConfigError(f"{path} = {value!r}: expected {' or '.join(_SCALARS[h] for h in hints)}")
    return _scalar(str if isinstance(value, str) else float, value, path)


def _scalar(hint: Any, value: Any, path: str) -> Any:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and isinstance(value, int) and abs(value) > _LARGEST:
        value = math.inf if value > 0 else -math.inf  # as a float of so many digits is
    if hint is int and number and math.isfinite(value) and float(value).is_integer():
        if abs(value) >= 2**63:  # tokens, sizes and seeds are 64-bit numbers further on
            raise ConfigError(f"{path} = {value!r}: expected a whole number below 2^63")
        return int(value)
    if hint is float and number and math.isfinite(value):
        return float(value)
    if hint in (bool, str) and isinstance(value, hint):
        return value
    if number and not math.isfinite(value):
        raise ConfigError(f"{path} = {value!r}: expected a finite number")
    raise ConfigError(f"{path} = {value!r}: expected {_SCALARS[hint]}")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)
