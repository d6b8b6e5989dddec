"""One self-contained HTML page: a sentence, a figure, warnings, then the rest under its contents.

What a page says is data (`Section`); its markup stands in ``templates/page.html`` alone, which
escapes every text. The page is complete without its script and never asks a network. The script is
our own few kilobytes: the smallest plotting library (Plotly's basic bundle, Vega-Lite with its
runtime) is a megabyte in every report, and would draw each figure a second time in another style.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from scalinglab.analysis.reporting.cells import (
    beyond_a_phone,
    columns_of,
    detail,
    interval_apart,
    is_wide,
)
from scalinglab.analysis.reporting.pictures import Picture, embedded, packed, picture
from scalinglab.analysis.tables.powers import in_print
from scalinglab.scaling.text.printable import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_ROWS = 200  # of a table, that a page shows
_MOST_OPEN = 20  # rows of a table, beyond which it is a window on a screen
_MOST_CARDS = 3  # rows of a wide table, up to which a telephone shows a card for each
_MOST_COLUMNS = 11  # of a table, beyond which paper shows it in smaller type
_MOST = 900_000  # characters of all pictures, beyond which none has linear axes beside its own
_HEAVY = 1_400_000  # bytes of a page, beyond which it holds no curves of runs
_SIZE = "<!--size-->"  # its place in the page, which has one when it is whole
# N^alpha, C^0.59, D^beta(N), (B / D)^(1/g), M^-eta; of a text whose quotes are escaped.
_EXPONENT = re.compile(r"(?<=[\w)\];])\^(?:\(([^()]*)\)|([-−]?\w+(?:\.\d+)?(?:\(\w\))?))")


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
    details : Details, optional
    """

    title: str = ""
    text: str = ""
    tables: Sequence[pd.DataFrame] = ()
    figures: Sequence[tuple[str, Figure]] = ()
    listing: str = ""
    refused: Sequence[str] = ()
    details: Details | None = None


@dataclass(frozen=True)
class Details:
    """A table that is shown on demand, with what its columns mean, and a text as it is laid out."""

    title: str
    text: str
    table: pd.DataFrame | None = None
    listing: str = ""


@dataclass(frozen=True)
class Download:
    """A text that a reader takes along.

    Attributes
    ----------
    title : str
        What it is.
    name : str
        Of the file.
    text : str
    """

    title: str
    name: str
    text: str


@dataclass(frozen=True)
class RunDetails:
    """What a page tells of single runs on demand.

    Attributes
    ----------
    table : DataFrame
        One row per run, its name in ``run_id``.
    curves : mapping of str to (steps, losses), or None
        None where they would make the page too heavy: it then says where they are.
    attempts : mapping of str to sequences
        Of each attempt when it started and ended (UTC), its state, and its error.
    """

    table: pd.DataFrame
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None
    attempts: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Shown:
    """A section with its place in the contents and its figures drawn."""

    key: str
    title: str
    text: str
    tables: Sequence[pd.DataFrame]
    figures: Sequence[tuple[str, Picture]]
    listing: str
    refused: Sequence[str]
    details: Details | None


def page(
    title: str,
    question: str,
    findings: Sequence[str],
    warnings: Sequence[str],
    sections: Sequence[Section],
    outputs: str | Path,
    *,
    headline: str = "",
    terms: str = "",
    leading: Sequence[tuple[str, Figure]] = (),
    downloads: Sequence[Download] = (),
    runs: RunDetails | None = None,
) -> str:
    """A page: the answer, a paragraph a finding, the warnings, then the sections.

    Parameters
    ----------
    title, question : str
        Name of the study, and what it asks.
    findings, warnings : sequence of str
        A sentence or paragraph each.
    sections : sequence of Section
    outputs : path
        Where the runs are.
    headline : str
        The answer in one sentence.
    terms : str
        What its letters are.
    leading : sequence of (caption, Figure)
        What supports it.
    downloads : sequence of Download
    runs : RunDetails, optional
        Shown where a reader clicks on a run.
    """
    numbers = count(1)
    names = [] if runs is None else runs.table["run_id"].astype(str).tolist()
    draw = partial(_drawn, numbers=numbers, runs={name: k for k, name in enumerate(names)})
    pictures = _light([*draw("lead", leading)], [*_shown(sections, draw)])
    run_texts = _run_data(runs, outputs)
    text = (
        _environment()
        .get_template("page.html")
        .render(
            title=title,
            question=question,
            headline=headline,
            terms=terms,
            findings=findings,
            leading=pictures[0],
            warnings=warnings,
            sections=pictures[1],
            downloads=downloads,
            runs=run_texts,
            outputs=_told(outputs),
            most_rows=_MOST_ROWS,
            most_open=_MOST_OPEN,
            most_columns=_MOST_COLUMNS,
            most_cards=_MOST_CARDS,
            made=f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
            size=Markup(_SIZE),
        )
    )
    if runs is not None and runs.curves and len(text.encode()) > _HEAVY:
        text = text.replace(run_texts, _run_data(replace(runs, curves=None), outputs), 1)
    return text.replace(_SIZE, f"{len(text.encode()) / 1e6:.2f} MB", 1)


def _told(folder: str | Path) -> str:
    """A folder as a page names it to others: no path above the place where the page was made.

    >>> _told("outputs"), _told("/home/somebody/project/outputs")
    ('outputs', 'outputs')
    """
    path = Path(folder)
    if not path.is_absolute():
        return str(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name


def _drawn(
    key: str,
    figures: Sequence[tuple[str, Figure]],
    *,
    numbers: Iterator[int],
    runs: Mapping[str, int],
) -> Iterator[tuple[str, Picture]]:
    """Figures with the next numbers of the page in their captions: they can be cited."""
    pictures = [picture(figure, f"{key}-{k + 1}", runs) for k, (_, figure) in enumerate(figures)]
    for (caption, _), shown, is_alone in zip(figures, pictures, _alone(pictures), strict=True):
        yield f"Figure {next(numbers)}. {caption}", replace(shown, alone=is_alone)


def _alone(pictures: Sequence[Picture]) -> list[bool]:
    """Whether each figure has its row to itself, in rows of two: half of it would stay white."""
    alone, beside = [], 0  # figures in the row so far
    for k, one in enumerate(pictures):
        ends_row = k + 1 == len(pictures) or pictures[k + 1].broad
        alone.append(not one.broad and beside == 0 and ends_row)
        beside = 0 if one.broad or beside else 1
    return alone


def _shown(
    sections: Sequence[Section], draw: Callable[..., Iterator[tuple[str, Picture]]]
) -> Iterator[_Shown]:
    for k, section in enumerate(sections):
        key = f"part-{k + 1}"
        yield _Shown(
            key,
            section.title,
            section.text,
            section.tables,
            [*draw(f"figure-{k + 1}", section.figures)],
            section.listing,
            section.refused,
            section.details,
        )


def _light(
    leading: list[tuple[str, Picture]], sections: list[_Shown]
) -> tuple[list[tuple[str, Picture]], list[_Shown]]:
    """Without second pictures on linear axes, where all together would make a heavy page."""
    every = [*leading, *(figure for section in sections for figure in section.figures)]
    if sum(len(text) for _, figure in every for text in figure.svgs) <= _MOST:
        return leading, sections

    def first(figures: Sequence[tuple[str, Picture]]) -> list[tuple[str, Picture]]:
        return [(caption, replace(figure, svgs=figure.svgs[:1])) for caption, figure in figures]

    return first(leading), [replace(part, figures=first(part.figures)) for part in sections]


def _run_data(runs: RunDetails | None, outputs: str | Path) -> str:
    """JSON of single runs for the page's script."""
    if runs is None:
        return "null"
    names = [name for name in runs.table if name != "run_id"]
    columns = [packed([detail(value) for value in runs.table[name].tolist()]) for name in names]
    ids = runs.table["run_id"].astype(str).tolist()
    return embedded(
        {
            "columns": names,
            "ids": ids,
            "values": columns,
            "curves": runs.curves or {},
            "curves_in": _told(outputs) if runs.curves is None else "",
            "attempts": runs.attempts,
        }
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
        "columns": partial(columns_of, most_rows=_MOST_ROWS),
        "beyond_a_phone": beyond_a_phone,
        "removeprefix": str.removeprefix,
        "rows": _rows,
        "cell": _cell,
        "laid_out": _laid_out,
        "markup": Markup,
    }
    environment.tests |= {"startswith": str.startswith, "wide": is_wide}
    return environment


def _visible(value: object) -> Markup:
    """A text with control characters shown, numbers and signs as in print, exponents raised; markup
    as it is.
    """
    if isinstance(value, Markup):
        return value
    text = str(escape(in_print(printable(str(value)))))
    return Markup(_EXPONENT.sub(lambda m: f"<sup>{m[1] or m[2]}</sup>", text))


def _cell(text: str) -> Markup:
    """A cell, its interval apart: on a narrow screen it stands below the value."""
    if parts := interval_apart(text):
        return Markup('{} <span class="between">{}</span>').format(*map(_visible, parts))
    return _visible(text)


def _laid_out(text: str) -> Markup:
    """A text whose columns stand below each other: no character more or less."""
    return escape(printable(text))


def _rows(frame: pd.DataFrame) -> Markup:
    """A long table as JSON, its names first: what its file holds."""
    cells = frame.astype(object).where(frame.notna(), None)
    return Markup(embedded([[str(name) for name in frame], *cells.to_numpy().tolist()]))
