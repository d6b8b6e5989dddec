"""One self-contained HTML page: words, tables, figures; no script, no network."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scalinglab.scaling.text.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ONE_SIZE = 20.0  # ratio of the largest to the smallest number of a column
STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 62rem; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.question { font-size: 1.1rem; color: #444; margin-top: 0; }
.answer { background: #f5f7f9; border-left: 4px solid #3b6ea5; padding: .3rem 1rem; }
.warning { background: #fff6e0; border-left: 4px solid #d69a00; padding: .3rem 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; margin: .6rem 0; }
th { text-align: left; border-bottom: 1px solid #888; font-weight: 600; }
th, td { padding: .15rem .8rem .15rem 0; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.number, th.number { text-align: right; }
pre { background: #f5f7f9; padding: .8rem; overflow-x: auto; font-size: 12.5px; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { max-width: 100%; height: auto; }
@media (max-width: 700px) { figure.broad svg { max-width: none; width: 800px; } }
ul { margin: .4rem 0 .8rem; padding-left: 1.2rem; } p:has(+ ul) { margin-bottom: 0; }
figcaption { color: #555; font-size: 13px; } footer { color: #777; margin-top: 3rem; }
"""


def escape(text: object) -> str:
    """A text in a page as it is: nothing in it is markup, and control characters are shown."""
    return html.escape(printable(str(text)))


def page(title: str, question: str, sections: Iterable[str], outputs: str | Path) -> str:
    """A page of HTML sections; empty ones are left out."""
    title = escape(title)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{title}: scaling study</title><style>{STYLE}</style></head><body>"
        f"<h1>{title}</h1><p class='question'>{escape(question)}</p>"
        + "\n".join(filter(None, sections))
        + f"<footer>Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC from the records in "
        f"{escape(outputs)}.</footer></body></html>\n"
    )


def answer(sentences: Sequence[str]) -> str:
    """What was found, a paragraph a finding; its lines that begin with "- " are a list."""
    found = "".join(_paragraph(sentence.splitlines()) for sentence in sentences)
    return f"<h2>The answer</h2><div class='answer'>{found}</div>"


def warnings(sentences: Sequence[str]) -> str:
    """What to be careful about; nothing without any."""
    if not sentences:
        return ""
    return f"<h2>What to be careful about</h2><div class='warning'>{_list(sentences)}</div>"


def _paragraph(lines: Sequence[str]) -> str:
    said = "<br>".join(escape(line) for line in lines if not line.startswith("- "))
    listed = [line[2:] for line in lines if line.startswith("- ")]
    return f"<p>{said}</p>" + (_list(listed) if listed else "")


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def figures(drawn: Iterable[tuple[str, Figure | None]]) -> str:
    """Figures with their captions."""
    return "<h2>Figures</h2>" + "".join(
        captioned(figure, caption) for caption, figure in drawn if figure is not None
    )


def captioned(figure: Figure, caption: str) -> str:
    """A figure and its caption; one of several panels is scrolled on a narrow screen."""
    broad = " class='broad'" if len(figure.axes) > 1 else ""
    return f"<figure{broad}>{svg(figure)}<figcaption>{escape(caption)}</figcaption></figure>"


def svg(figure: Figure) -> str:
    """A figure as inline SVG; equal figures give equal text."""
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.hashsalt": "scaling", "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def table(frame: pd.DataFrame) -> str:
    """A data frame as an HTML table, numbers to the right."""
    numeric = [pd.api.types.is_numeric_dtype(frame[c]) and frame[c].dtype != bool for c in frame]
    head = "".join(_cell("th", str(name), n) for name, n in zip(frame, numeric, strict=True))
    texts = [_column(frame[c]) for c in frame]
    rows = (
        "".join(_cell("td", text, n) for text, n in zip(row, numeric, strict=True))
        for row in zip(*texts, strict=True)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f"<div class='wide'><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _cell(tag: str, text: str, number: bool) -> str:
    kind = " class='number'" if number else ""
    return f"<{tag}{kind}>{escape(text)}</{tag}>"


def _column(values: pd.Series) -> list[str]:
    """Texts of a column; numbers of about one size have as many decimals as the longest."""
    texts = [_text(value) for value in values]
    if not pd.api.types.is_float_dtype(values):
        return texts
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
