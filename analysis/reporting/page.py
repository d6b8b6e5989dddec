"""One self-contained HTML page: words, tables, figures; no script, no network.

What a page says is data (`Section`); its markup stands in ``templates/page.html`` alone, which escapes
every text.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scalinglab.scaling.text.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ONE_SIZE = 20.0  # ratio of the largest to the smallest number of a column
_COUNTED = 1e7  # below it whole numbers are read in full, above it by their size


@dataclass(frozen=True)
class Section:
    """A part of a page; what is empty is left out.

    Attributes
    ----------
    title : str
        Its heading; a section without one continues the section before it.
    text : str
        A paragraph below the heading.
    tables : sequence of DataFrame
    figures : sequence of (caption, Figure)
    listing : str
        Text shown as it is laid out.
    refused : sequence of str
        Why parts of an answer are missing, shown on demand.
    """

    title: str = ""
    text: str = ""
    tables: Sequence[pd.DataFrame] = ()
    figures: Sequence[tuple[str, Figure]] = ()
    listing: str = ""
    refused: Sequence[str] = ()


@dataclass(frozen=True)
class _Column:
    """A column of a table as the page shows it."""

    name: str
    numeric: bool
    texts: Sequence[str]


def page(
    title: str,
    question: str,
    findings: Sequence[str],
    warnings: Sequence[str],
    sections: Sequence[Section],
    outputs: str | Path,
) -> str:
    """A page: the answer, a paragraph a finding, the warnings, then the sections."""
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            question=question,
            findings=findings,
            warnings=warnings,
            sections=sections,
            outputs=outputs,
            made=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
    )
    environment.filters |= {
        "columns": _columns,
        "removeprefix": str.removeprefix,
        "svg": lambda figure: Markup(svg(figure)),
    }
    environment.tests["startswith"] = str.startswith
    return environment


def _visible(value: object) -> object:
    """A text of a user with its control characters shown; markup as it is."""
    return value if isinstance(value, Markup) else printable(str(value))


def svg(figure: Figure) -> str:
    """A figure as inline SVG; equal figures give equal text."""
    # matplotlib takes half a second to import: only drawing waits for it.
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.hashsalt": "scaling", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _columns(frame: pd.DataFrame) -> list[_Column]:
    """The columns of a table; numbers are set to the right."""
    return [
        _Column(
            str(name),
            pd.api.types.is_numeric_dtype(frame[name]) and frame[name].dtype != bool,
            _texts(frame[name]),
        )
        for name in frame
    ]


def _texts(values: pd.Series) -> list[str]:
    """Texts of a column; numbers of about one size have as many decimals as the longest."""
    texts = [_text(value) for value in values]
    if not pd.api.types.is_float_dtype(values):
        return texts
    known = values.dropna()
    if (known % 1 == 0).all() and known.abs().max() < _COUNTED:  # counts that a gap made floats
        return ["" if pd.isna(value) else f"{value:,.0f}" for value in values]
    sizes = values.abs()[values.abs() > 0]
    if sizes.empty or sizes.max() > _ONE_SIZE * sizes.min() or any("e" in t for t in texts):
        return texts
    decimals = max(len(text.partition(".")[2]) for text in texts)
    return ["" if pd.isna(value) else f"{value:.{decimals}f}" for value in values]


def _text(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float):
        return "" if pd.isna(value) else re.sub(r"e\+0?", "e", f"{value:.5g}")
    return str(value)
