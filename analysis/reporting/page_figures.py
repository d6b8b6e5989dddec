"""The figures of a page that was written: SVG, by the names that they have in it."""

from __future__ import annotations

import re

_FIGURE = re.compile(
    r'<figure id="(?P<key>[\w-]+)"[^>]*>\s*<div[^>]*>(?P<svg><svg.*?</svg>)</div>', re.DOTALL
)


def figures_in(page: str) -> dict[str, str]:
    """Name -> SVG of each figure, as it is drawn on its own axes."""
    return {found["key"]: found["svg"] for found in _FIGURE.finditer(page)}
