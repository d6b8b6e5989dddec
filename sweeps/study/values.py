"""Set dotted keys in the plain configuration of a run, before `RunConfig` reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scalinglab.scaling.choices import choosers, has_key, no_such_key, with_choice
from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import unknown_key
from scalinglab.scaling.read_options import class_of

# The kind of trainer decides which class reads the optimizer (`RunConfig.classes`).
TRAINER_KIND = "trainer.kind"


def with_values(base: Mapping[str, Any], point: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A copy of `base` with dotted keys set; the keys must exist.

    A value that is a group (``schedule: [{kind: cosine}]``) sets its own keys and leaves the others
    as the study has them. Where a point chooses another schedule, optimizer or parametrization,
    only the keys that the new choice uses stay.

    Raises
    ------
    ConfigError
        If a key is unknown, or what is chosen does not use it.
    """
    config = dict(base)
    # Choices first: they say which keys there are.
    order = sorted(point, key=lambda key: (key != TRAINER_KIND, not _is_choice(config, key)))
    for dotted, value in ((key, point[key]) for key in order):
        *groups, key = dotted.split(".")
        cls = _class_at(config, groups)
        node, so_far = config, path
        for group in groups:
            if not isinstance(node.get(group), dict):
                raise ConfigError(unknown_key(f"{so_far}.{group}", node))
            node[group] = dict(node[group])  # the base keeps its own
            node, so_far = node[group], f"{so_far}.{group}"
        if cls is not None and key in choosers(cls):
            chosen = with_choice(cls, node, key, value, so_far)
            node.clear()
            node.update(chosen)
        elif key in node or (cls is not None and has_key(cls, key, node)):
            inner = _class_at(config, [*groups, key]) if isinstance(value, Mapping) else None
            node[key] = merged(node.get(key), value, inner, f"{so_far}.{key}")
        elif cls is None and groups[-1:] == ["options"]:
            node[key] = value  # the owner of these options refuses a key that it does not have
        elif cls is None or cls is RunConfig:
            raise ConfigError(unknown_key(f"{so_far}.{key}", node))
        else:
            raise ConfigError(no_such_key(cls, key, value, node, so_far))
    return config


def with_groups(base: Mapping[str, Any], groups: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A copy of `base` with the keys of some groups set in it; keys that they do not name stay.

    A group that names its own choice (``schedule: {kind: power}``) replaces the study's whole
    group: to join the two would change the ids of earlier runs.

    Parameters
    ----------
    base, groups : mapping
    path : str
        Where the groups stand, for messages.
    """
    config = dict(base)
    for key in sorted(groups, key=lambda key: not TRAINER_KIND.startswith(f"{key}.")):
        named = groups[key] if isinstance(groups[key], Mapping) else {}
        if any(_is_choice(config, f"{key}.{name}") for name in named):
            config[key] = groups[key]
            continue
        cls = _class_at(config, [key]) if named else None
        config[key] = merged(config.get(key), groups[key], cls, f"{path}.{key}")
    return config


def _is_choice(config: Mapping[str, Any], dotted: str) -> bool:
    """Whether a dotted key decides which other keys there are."""
    *groups, key = dotted.split(".")
    cls = _class_at(config, groups)
    return cls is not None and key in choosers(cls)


def _class_at(config: Mapping[str, Any], groups: Sequence[str]) -> type | None:
    """The dataclass that reads a group of a run's configuration; None where any key may stand."""
    cls: type | None = RunConfig
    for group in groups:
        cls = class_of(cls, group, config) if cls is not None else None
    return cls


def merged(group: Any, value: Any, cls: type | None = None, path: str = "") -> Any:
    """A group with the keys of another set in it; a value that is no group is replaced.

    Options belong to the data source, tokenizer or program that the group names: where the value
    names another, they start empty. Where it names another schedule, optimizer or parametrization,
    the keys stay that both choices have.

    Parameters
    ----------
    group, value : any
    cls : type, optional
        The dataclass that reads the group.
    path : str
        Configuration key of the group, for messages.
    """
    if not isinstance(group, Mapping) or not isinstance(value, Mapping):
        return value
    chosen = next(
        (k for k in ("source", "kind", "name") if k in group and "options" in group), None
    )
    if chosen is not None and value.get(chosen, group[chosen]) != group[chosen]:
        group = {**group, "options": {}}
    if cls is not None:
        for key in choosers(cls) & value.keys():
            group = with_choice(cls, group, key, value[key], path)
    return {**group, **{k: merged(group.get(k), v) for k, v in value.items()}}
