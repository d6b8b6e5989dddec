"""The axes of a grid, and their combinations."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from scalinglab.scaling.errors import ConfigError

ZIP = "zip"  # axes of a grid that go together


def combinations(grid: Mapping[str, Any], path: str) -> Iterator[dict[str, Any]]:
    """Every combination of the values of nested axes; axes below ``zip`` go together.

    >>> list(combinations({"seed": [0, 1], "zip": {"tokens": [1, 2], "batch": [4, 8]}}, ""))
    ... # doctest: +NORMALIZE_WHITESPACE
    [{'seed': 0, 'tokens': 1, 'batch': 4}, {'seed': 0, 'tokens': 2, 'batch': 8},
     {'seed': 1, 'tokens': 1, 'batch': 4}, {'seed': 1, 'tokens': 2, 'batch': 8}]
    """
    for key, values in axes(grid).items():
        if not values:
            raise ConfigError(f"{path}.grid.{key} has no values: the study would have no runs")
    free = axes({key: value for key, value in grid.items() if key != ZIP})
    alternatives = [[{key: value} for value in values] for key, values in free.items()]
    alternatives += [_paired(group, path) for group in _groups(grid.get(ZIP, []), path)]
    keys = [key for settings in alternatives for key in settings[0]]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ConfigError(f"{path}.grid gives {twice[0]} twice, in {ZIP} and elsewhere")
    for combination in itertools.product(*alternatives):
        yield {key: value for settings in combination for key, value in settings.items()}


def _groups(value: Any, path: str) -> list[dict[str, list[Any]]]:
    """Axes that go together: one group, or a list of groups."""
    groups = value if isinstance(value, list) else [value]
    if not all(isinstance(group, Mapping) and group for group in groups):
        raise ConfigError(
            f"{path}.grid.{ZIP} = {value!r}: expected are axes that go together, as"
            " in {model.width: [64, 128], optimizer.lr: [0.01, 0.005]}"
        )
    return [axes(group) for group in groups]


def _paired(group: dict[str, list[Any]], path: str) -> list[dict[str, Any]]:
    """The first values of all axes of a group, the second ones, and so on."""
    lengths = {key: len(values) for key, values in group.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise ConfigError(
            f"{path}.grid.{ZIP}: axes that go together have as many values each; {counts}"
        )
    return [dict(zip(group, row, strict=True)) for row in zip(*group.values(), strict=True)]


def axes(nested: Mapping[str, Any], path: str = "") -> dict[str, list[Any]]:
    """Nested axes, also those below ``zip``, by dotted keys; a plain value is an axis of one.

    >>> axes({"model": {"width": [16, 32]}, "tokens": [1, 2]})
    {'model.width': [16, 32], 'tokens': [1, 2]}
    """
    flat: dict[str, list[Any]] = {}
    for key, value in nested.items():
        dotted = f"{path}.{key}" if path else str(key)
        if dotted == ZIP:
            for group in value if isinstance(value, list) else [value]:
                flat |= axes(group) if isinstance(group, Mapping) else {}
        elif isinstance(value, Mapping):
            flat |= axes(value, dotted)
        else:
            flat[dotted] = list(value) if isinstance(value, list) else [value]
    return flat
