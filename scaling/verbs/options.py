"""``key=value`` arguments of the verbs that compose no run, spelled as Hydra's overrides are."""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from scaling.config import ConfigError, from_dict

T = TypeVar("T")


def read_options(cls: type[T], arguments: Sequence[str]) -> T:
    """Build the dataclass `cls` from ``a=1 b.c=x``; ``--dry-run`` means ``dry_run=true``.

    Raises
    ------
    ConfigError
        On an argument without "=", an unknown key or a value of the wrong type.
    """
    nested: dict[str, Any] = {}
    hints = typing.get_type_hints(cls)
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if key.startswith("--"):  # --dry-run is dry_run=true
            key, equals, text = key[2:].replace("-", "_"), "=", text if equals else "true"
        if not equals or not key:
            raise ConfigError(f"cannot read {argument!r}: expected key=value")
        *groups, last = key.split(".")
        node = nested
        for group in groups:
            node = node.setdefault(group, {})
            if not isinstance(node, dict):
                raise ConfigError(f"{argument!r}: '{group}' was given a value before")
        # A run's id, or an arm's name, may look like a number.
        word = not groups and hints.get(key) in (str, str | None) and text != "null"
        words = not groups and hints.get(key) == list[str] and text.startswith("[")
        node[last] = _words(text) if words else text if word else _value(text)
    return from_dict(cls, nested)


def _words(text: str) -> list[str]:
    """The words of ``[a,b]``, quoted or not."""
    return [word.strip().strip("\"'") for word in text[1:].removesuffix("]").split(",") if word]


def _value(text: str) -> Any:
    """A JSON value where it is one (numbers, true, null, lists), a list of words, else the text."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    if text.startswith("[") and text.endswith("]"):
        return [_value(part.strip()) for part in text[1:-1].split(",")]
    try:
        return float(text)  # 1e15, inf
    except ValueError:
        return text
