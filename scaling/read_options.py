"""Dataclasses from plain dictionaries: typed, checked, and refused in one sentence."""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import sys
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scalinglab.scaling.choices import chosen_class, conditional_keys, is_used, no_such_key
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import (
    check_value,
    defaults,
    historic_values,
    is_required,
    join_path,
    keys_of,
    once_per_class,
)

_LARGEST = sys.float_info.max
_SCALARS = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}


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
        On an unknown or missing key, a value of the wrong type or out of its range, or a key that
        the choice does not use.
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
            arguments[name] = from_dict(classes[name], values[name], join_path(path, name))
        elif name in values:
            arguments[name] = key.read(values[name], join_path(path, name))
        elif key.required:
            raise ConfigError(f"missing key '{join_path(path, name)}'")
    built = cls(**arguments)
    for name in conditional_keys(cls):
        _check_used(built, name, path)
    return built


def check_ranges(options: Any, path: str = "") -> None:
    """Raise `ConfigError` if a value of a dataclass, or of a nested one, is not allowed."""
    for name, key in _keys(type(options)).items():
        value, where = getattr(options, name), join_path(path, name)
        if dataclasses.is_dataclass(value):
            check_ranges(value, where)
        elif isinstance(value, str) and (group := key.group) is not None:
            group.choices.find(value, where)
        check_value(value, key.metadata, where)


def _has_hook(cls: type[Any], name: str) -> bool:
    """Whether a class has a class method of that name; a key of that name is none."""
    return hasattr(cls, name) and name not in keys_of(cls)


def class_of(cls: type[Any], key: str, values: Mapping[str, Any]) -> type | None:
    """The dataclass that reads a key of a group; None for a key without one."""
    classes = cls.classes(values) if _has_hook(cls, "classes") else {}
    return classes.get(key) or (_keys(cls)[key].group if key in _keys(cls) else None)


@dataclass(frozen=True)
class _Key:
    """The rule by which one key is read."""

    convert: Callable[[Any, str], Any]
    optional: bool  # whether it may be None
    required: bool
    metadata: Mapping[str, Any]
    group: type[Any] | None  # the dataclass of the key, also in a union with str

    def read(self, value: Any, path: str) -> Any:
        """The typed and checked value."""
        if self.optional and value is None:
            return None
        value = self.convert(value, path)
        check_value(value, self.metadata, path)
        return value


@once_per_class
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
            is_required(f),
            f.metadata,
            _group_of(hint),
        )
    return keys


def _check_used(built: Any, name: str, path: str) -> None:
    value = getattr(built, name)
    if value == defaults(type(built))[name] or is_used(built, name):
        return
    chooser, values = conditional_keys(type(built))[name]
    raise ConfigError(
        f"{join_path(path, name)} = {value}: {join_path(path, chooser)} ="
        f" {getattr(built, chooser)!r} does "
        f"not use it; it is used with {', '.join(values)}"
    )


def _is_union(hint: Any) -> bool:
    """Whether a type is one of several, written ``int | None`` or ``Optional[int]``."""
    return typing.get_origin(hint) in (types.UnionType, typing.Union)


def _group_of(hint: Any) -> type[Any] | None:
    """The dataclass in a type, alone or in a union with str; None if there is none."""
    kinds = typing.get_args(hint) if _is_union(hint) else (hint,)
    groups = (kind for kind in kinds if isinstance(kind, type) and dataclasses.is_dataclass(kind))
    return next(groups, None)


def _converter(hint: Any) -> Callable[[Any, str], Any]:
    """A function (value, path) -> typed value that refuses values of another type."""
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
    """A choice of `cls`: only its name if all its keys have their historic values."""
    if isinstance(value, str):
        cls.choices.find(value, path)
    built = from_dict(cls, {cls.chooser: value} if isinstance(value, str) else value, path)
    name = getattr(built, cls.chooser)
    historic = historic_values(type(built)) | {cls.chooser: name}
    is_historic = all(key in historic and historic[key] == v for key, v in vars(built).items())
    return name if is_historic else built


def _group(convert: Callable[[Any, str], Any], value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"{path} = {value!r}: expected a group of keys")
    return {key: convert(child, join_path(path, key)) for key, child in value.items()}


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
        value = math.inf if value > 0 else -math.inf  # like a float with as many digits
    if hint is int and number and math.isfinite(value) and float(value).is_integer():
        if abs(value) >= 2**63:  # numpy and torch have 64-bit numbers
            raise ConfigError(f"{path} = {value!r}: expected a whole number below 2^63")
        return int(value)
    if hint is float and number and math.isfinite(value):
        return float(value)
    if hint in (bool, str) and isinstance(value, hint):
        return value
    if number and not math.isfinite(value):
        raise ConfigError(f"{path} = {value!r}: expected a finite number")
    raise ConfigError(f"{path} = {value!r}: expected {_SCALARS[hint]}")
