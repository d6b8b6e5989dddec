"""Mistyped options of verbs that also take overrides of the configuration."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Sequence

from scalinglab.scaling.errors import ConfigError

_ALIKE = 0.7  # of 1: 'rnus' and 'runs' are 0.75 alike


def refuse_mistyped(names: Iterable[str], overrides: Sequence[str]) -> None:
    """Refuse an override whose key is no key of the configuration and nearly that of an option.

    Composing refuses it, too, but knows the keys of the configuration alone.

    Raises
    ------
    ConfigError
        With the option that was meant.
    """
    sections = _sections() if overrides else ()
    for word in overrides:
        key = word.partition("=")[0]
        if not key.isidentifier() or key in sections:
            continue
        near = difflib.get_close_matches(key, [*names, *sections], n=1, cutoff=_ALIKE)
        if near and near[0] not in sections:
            raise ConfigError(f"unknown option {key!r}; did you mean {near[0]!r}?")


def _sections() -> tuple[str, ...]:
    """Top keys of a composed configuration, and its groups."""
    # Imported here, because a call without overrides, such as --help, needs no configuration.
    from scalinglab.own_groups import shipped_groups
    from scalinglab.scaling.config import RunConfig

    keys = (field.name for field in dataclasses.fields(RunConfig))
    return (*keys, "config", "extend", "outputs", *shipped_groups())
