"""Keys that a group's file brought for another choice than the one that was made.

``schedule: {kind: cosine}`` in a study is laid over the keys of ``conf/schedule/wsd.yaml``, the
default: those that cosine does not use are dropped here. A key that a person set stays, and is
refused where the configuration is read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scalinglab.scaling.choices import chosen_class, without_leftovers
from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import keys_of
from scalinglab.scaling.model.part import SLOTS
from scalinglab.scaling.read_options import class_of

# A dotted group -> the keys of its file that was chosen, maybe by the study; none without a file.
FileKeys = Callable[[str], Mapping[str, Any]]


def drop_leftovers(composed: dict[str, Any], overrides: Sequence[str], file_keys: FileKeys) -> None:
    """Drop from each group what its file brought for another choice.

    Raises
    ------
    ConfigError
        If an override chose a group's file whose kind the study sets otherwise.
    """
    for path in (*RunConfig.__dataclass_fields__, *(f"model.{slot}" for slot in SLOTS)):
        cls: Any = class_at(path, composed)
        *parents, name = path.split(".")
        parent = functools.reduce(lambda node, key: node.get(key, {}), parents, composed)
        group = parent.get(name)
        if not isinstance(group, dict) or cls is None or not hasattr(cls, "choices"):
            continue
        _refuse_overruled(path, cls.chooser, group, overrides, file_keys)
        if not set(group) <= set(keys_of(chosen_class(cls, group, path))):
            parent[name] = without_leftovers(cls, group, dict(file_keys(path)))


def class_at(path: str, composed: Mapping[str, Any]) -> type[Any] | None:
    """The dataclass that reads a dotted group of a run's configuration."""
    cls: type[Any] | None = RunConfig
    for key in path.split("."):
        cls = class_of(cls, key, composed) if cls is not None else None
    return cls


def _refuse_overruled(
    path: str,
    chooser: str,
    group: Mapping[str, Any],
    overrides: Sequence[str],
    file_keys: FileKeys,
) -> None:
    """Refuse the choice of a file (``schedule=cosine``) whose kind the study sets otherwise."""
    keys = [o.partition("=")[0].lstrip("+") for o in overrides]
    file_group = path.replace(".", "/")
    if file_group not in keys or f"{path}.{chooser}" in keys:
        return
    choice = file_keys(path).get(chooser)
    if choice is not None and choice != group.get(chooser):
        last_choice = overrides[len(keys) - 1 - keys[::-1].index(file_group)]
        raise ConfigError(
            f"{last_choice} changes nothing: the study sets "
            f"{path}.{chooser} = {group.get(chooser)!r}; say {path}.{chooser}={choice}"
        )
