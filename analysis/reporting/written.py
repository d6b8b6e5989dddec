"""What a report leaves in the folder of its study, and the figures of its page."""

from __future__ import annotations

import re

PAGE = "report.html"
ANSWER = "answer.json"  # the same for programs
_FIGURE = re.compile(
    r'<figure id="(?P<key>[^"]+)"[^>]*>\s*<div[^>]*>\s*(?P<svg><svg.*?</svg>)', re.DOTALL
)


def figures_in(page: str) -> dict[str, str]:
    """Name -> SVG of each figure of a page, as it is drawn on its own axes."""
    return {match["key"]: match["svg"] for match in _FIGURE.finditer(page)}
