"""Keys that choose other keys: which keys a choice uses, and what another choice does with them.

A dataclass with the class attributes ``choices`` (a registry) and ``chooser`` (a field) stands for
several: the value of the chooser names the class whose keys are allowed. A single key is tied to
choices by ``used_with`` (`scalinglab.scaling.fields.setting`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import defaults, join_path, keys_of, once_per_class, unknown_key


def chosen_class(cls: type[Any], values: Mapping[str, Any], path: str = "") -> type:
    """The class that a group of keys chooses if `cls` has choices; else `cls`."""
    choices = getattr(cls, "choices", None)
    if choices is None:
        return cls
    key = join_path(path, cls.chooser)
    name = values.get(cls.chooser, getattr(cls, cls.chooser))
    if not isinstance(name, str):
        raise ConfigError(f"{key} = {name!r}: expected a string")
    return choices.find(name, key)


def is_used(options: Any, key: str) -> bool:
    """Whether the choices in a dataclass use one of its keys."""
    chooser, values = conditional_keys(type(options)).get(key, ("", ()))
    return not chooser or getattr(options, chooser) in values


@once_per_class
def choosers(cls: type[Any]) -> frozenset[str]:
    """The keys of a group whose values decide which others are used."""
    its_chooser = {cls.chooser} if hasattr(cls, "choices") else set()
    return frozenset(its_chooser | {chooser for chooser, _ in conditional_keys(cls).values()})


def has_key(cls: type[Any], key: str, values: Mapping[str, Any]) -> bool:
    """Whether the class that `values` choose has a key."""
    return key in keys_of(chosen_class(cls, values))


def users_of(cls: type, key: str) -> list[str]:
    """The choices of `cls` that have a key."""
    return [name for name, kind in getattr(cls, "choices", {}).items() if key in keys_of(kind)]


def with_choice(
    cls: type[Any], group: Mapping[str, Any], key: str, value: Any, path: str
) -> dict[str, Any]:
    """A group of keys whose chooser `key` has another value.

    Keys that the new choice uses as well keep their values, others have their defaults, so that a
    study can compare choices without naming the keys of each.
    """
    if group.get(key) == value:
        return dict(group)
    if hasattr(cls, "choices"):
        new_class = chosen_class(cls, {key: value}, path)
        common = {k: v for k, v in group.items() if k in keys_of(new_class)}
        return defaults(new_class) | common | {key: value}
    unused = [
        name
        for name, (chooser, values) in conditional_keys(cls).items()
        if chooser == key and value not in values
    ]
    return {**group, **{name: defaults(cls)[name] for name in unused}, key: value}


def without_leftovers(
    cls: type[Any], group: Mapping[str, Any], chosen: Mapping[str, Any]
) -> dict[str, Any]:
    """A group without the keys that its file brought for another choice.

    Parameters
    ----------
    cls : type
        The dataclass that reads the group.
    group, chosen : mapping
        The keys of the group, and the keys of its file.
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
    """The sentence for an unknown key of a group, which another choice may have."""
    known_elsewhere, cls = bool(users_of(cls, key)), chosen_class(cls, values, path)
    if known_elsewhere:
        chooser = cls.chooser
        used = sorted(set(keys_of(cls)) - {chooser})
        return (
            f"{join_path(path, key)} = {value}: {join_path(path, chooser)} ="
            f" {getattr(cls, chooser)!r} "
            f"does not use it; it uses {', '.join(used) or 'no other keys'}"
        )
    return unknown_key(join_path(path, key), keys_of(cls))


@once_per_class
def conditional_keys(cls: type[Any]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Key -> the other key, and its values, with which it is used."""
    return {
        f.name: f.metadata["used_with"]
        for f in dataclasses.fields(cls)
        if "used_with" in f.metadata
    }
