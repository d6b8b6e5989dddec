"""Formulas as MathML, which browsers draw by themselves: no script, no fonts from elsewhere."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_SPACE = "\\qquad"  # between formulas of one line, which a narrow screen shows one below the other
_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)

# A function and its base. Names are identifiers to a browser: a log n would read as alogn.
_FUNCTION = re.compile(
    r"(<msub><mi>log</mi>.*?</msub>|<mi>(?:log|ln|exp)</mi>)(<mo[^>]*>&#x00028;)?"
)
_THIN = '<mspace width="0.17em"/>'


def on_page_content(content: str, **_: Any) -> str:
    """Replace the formulas that arithmatex marks."""

    def draw(found: re.Match[str]) -> str:
        formula = html.unescape(found[2])
        if found[1] == "span":
            return _drawn(formula, "inline")
        drawn = [_drawn(part, "block") for part in _parts(formula)]
        return drawn[0] if len(drawn) == 1 else f'<div class="formulas">{"".join(drawn)}</div>'

    return _FORMULA.sub(draw, content)


def _drawn(formula: str, display: str) -> str:
    """MathML, with thin spaces around the names of functions."""

    def apart(found: re.Match[str]) -> str:
        return _THIN + found[1] + (found[2] or _THIN)

    return _FUNCTION.sub(apart, convert(formula, display=display))


def _parts(formula: str) -> list[str]:
    """The formulas that wide spaces separate; those within braces or an environment stay."""
    parts = [""]
    for piece in formula.split(_SPACE):
        parts[-1] += piece
        openings = parts[-1].count("{") + parts[-1].count(r"\begin") + parts[-1].count(r"\left")
        closings = parts[-1].count("}") + parts[-1].count(r"\end") + parts[-1].count(r"\right")
        if openings == closings:
            parts.append("")
        else:
            parts[-1] += _SPACE
    return [part for part in parts if part.strip()]
