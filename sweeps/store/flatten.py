"""Nested values under dotted keys, as tables and conditions name them."""

from __future__ import annotations

from typing import Any


def flatten(node: Any, path: str = "") -> dict[str, Any]:
    """Nested plain values as one dictionary with dotted keys."""
    if isinstance(node, dict):
        items = [(f"{path}.{k}" if path else k, v) for k, v in node.items()]
    elif isinstance(node, list):
        items = [(f"{path}[{i}]", v) for i, v in enumerate(node)]
    else:
        return {path: node}
    return {key: leaf for p, v in items for key, leaf in flatten(v, p).items()}
