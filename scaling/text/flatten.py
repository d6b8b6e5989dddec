"""Nested values under dotted keys, as tables, conditions and messages name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flatten(node: Mapping[str, Any], *, lists: bool = False) -> dict[str, Any]:
    """Groups of groups as one dictionary with dotted keys.

    Parameters
    ----------
    node : mapping
    lists : bool
        Whether the items of a list have keys of their own, ``key[0]``; else a list stays whole.

    Examples
    --------
    >>> flatten({"model": {"width": 16}, "sizes": [1, 2]}, lists=True)
    {'model.width': 16, 'sizes[0]': 1, 'sizes[1]': 2}
    """
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{k}": v for k, v in flatten(value, lists=lists).items()}
        elif lists and isinstance(value, list):
            items = flatten({f"{key}[{i}]": item for i, item in enumerate(value)}, lists=True)
            flat |= items
        else:
            flat[str(key)] = value
    return flat
