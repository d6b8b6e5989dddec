"""Tables of text: cells between commas, semicolons, tabs, bars or spaces.

What is refused is what would shift cells: a row with more cells than there are headings. A comma
at the end of every row, comments, blank lines, a byte-order mark, quotes, decimal commas and a
last line that was torn off are understood.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.formats.raw import Raw
from scalinglab.analysis.importers.formats.registry import (
    Request,
    checked_columns,
    register,
    stem_of,
    suffix_of,
    text_of,
)
from scalinglab.scaling.errors import UserError

_SUFFIXES = (".csv", ".tsv", ".tab", ".dat")
_SPACES = " "  # one or more, as columns that are aligned by eye have
_NUMBER = re.compile(
    r"[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?|nan|[-+]?inf(inity)?", re.IGNORECASE
)
_COMMA_NUMBER = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
_SAMPLE = 200  # rows by which a file is judged


@dataclass(frozen=True)
class _Line:
    number: int
    text: str


@register("tables of text (.csv, .tsv; also compressed)", lambda p: suffix_of(p) in _SUFFIXES)
def read_delimited(path: Path, request: Request) -> list[Raw]:
    """One table of text."""
    return [table_of_text(text_of(path), path)]


def table_of_text(text: str, path: Path) -> Raw:
    """The table that a text is.

    Raises
    ------
    UserError
        If it has no headings or no rows, a heading stands twice, or a row has more or fewer cells
        than there are headings.
    """
    lines, comment = _lines(text)
    if not lines:
        raise UserError(f"{path} cannot be read as a table: it is empty")
    named = re.fullmatch(r"sep=(.)", lines[0].text.strip())  # as spreadsheets write it
    lines = lines[1:] if named else lines
    if not lines:
        raise UserError(f"{path} has no rows")
    separator = named[1] if named else _separator(lines[:_SAMPLE])
    heading, body = _heading(lines, comment, separator)
    names = [n.strip() for n in _cells(heading.text, separator)]
    if sum(_is_number(n) for n in names) > len(names) / 2:
        raise UserError(
            f"{path}, line {heading.number}: the first line has numbers, not the names of columns;"
            " give it a line of names"
        )
    ended = text.endswith(("\n", "\r"))
    table_lines, cells, notes = _counted(body, len(names), separator, path, ended)
    if not table_lines:
        raise UserError(f"{path} has no rows")
    width = max(cells, len(names))
    frame = _parsed(table_lines, width, separator, path)
    frame = frame.iloc[:, : len(names)].set_axis(names, axis=1)
    frame, rows, more_notes = _without_torn_number(frame, table_lines, ended)
    if frame.empty:
        raise UserError(f"{path} has no rows")
    unnamed = [k for k, name in enumerate(names) if not name]
    frame = _without_unnamed(frame, unnamed)
    return Raw(
        checked_columns(frame, str(path)),
        stem_of(path),
        table_lines[0].number,
        notes=tuple(f"{path.name}: {note}" for note in (*notes, *more_notes)),
        rows=rows,
        decimal=_decimal(frame, separator, path),
        path=path,
    )


def _parsed(lines: list[_Line], width: int, separator: str, path: Path) -> pd.DataFrame:
    """The cells of rows whose number of cells is known, as text."""
    try:
        frame = pd.read_csv(
            io.StringIO("\n".join(line.text for line in lines)),
            header=None,
            names=range(width),
            dtype=str,
            keep_default_na=False,
            na_filter=False,
            index_col=False,
            engine="c",
            skip_blank_lines=False,
            skipinitialspace=True,
            sep=r"\s+" if separator == _SPACES else separator,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read as a table: {reason}") from None
    if len(frame) != len(lines):
        raise UserError(f"{path} cannot be read as a table: a quotation mark has no partner")
    return frame


def _lines(text: str) -> tuple[list[_Line], str]:
    """Records with the number of their first line, and the last comment before them.

    A cell between quotes may go over several lines.
    """
    lines: list[_Line] = []
    comment = inside = ""
    start = 0
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if inside:
            inside += "\n" + line
        elif not line.strip():
            continue
        elif line.lstrip().startswith("#"):
            comment = comment if lines else line.lstrip()[1:]
            continue
        else:
            inside, start = line, number
        if inside.count('"') % 2 == 0:
            lines.append(_Line(start, inside))
            inside = ""
    if inside:
        lines.append(_Line(start, inside))
    return lines, comment


def _separator(lines: list[_Line]) -> str:
    """The separator of cells: the character that splits headings and rows into as many cells."""
    best, most = ",", 1
    for separator in (",", "\t", ";", "|", _SPACES):
        counts = [len(_cells(line.text, separator)) for line in lines]
        if separator == _SPACES and most > 1:
            break
        agree = sum(abs(c - counts[0]) <= 1 for c in counts) / len(counts)
        cut = counts[0] if agree > 0.5 else 1
        if cut > most:
            best, most = separator, cut
        if separator == "\t" and most > 1:
            break
    return best


def _cells(line: str, separator: str) -> list[str]:
    if separator == _SPACES:
        return line.split()
    if '"' not in line:
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:  # a quote that does not end where the cell does
        return line.split(separator)


def _heading(lines: list[_Line], comment: str, separator: str) -> tuple[_Line, list[_Line]]:
    """The line of names, which may be a comment as programs that draw want it, and the rest."""
    first = _cells(lines[0].text, separator)
    marked = [c for c in _cells(comment.strip(), separator) if c.strip()]
    if all(_is_number(c.strip()) for c in first if c.strip()) and len(marked) == len(first):
        return _Line(lines[0].number - 1, comment.strip()), lines
    return lines[0], lines[1:]


def _counted(
    body: list[_Line], width: int, separator: str, path: Path, ended: bool
) -> tuple[list[_Line], int, list[str]]:
    """Rows with as many cells as there are headings, how many cells are read, and what was left."""
    table_lines, most, notes = [], width, []
    for k, line in enumerate(body):
        plain = '"' not in line.text and separator != _SPACES
        cells = line.text.count(separator) + 1 if plain else len(_cells(line.text, separator))
        if cells == width:
            table_lines.append(line)
            continue
        last = k == len(body) - 1
        if cells > width:
            line_cells = _cells(line.text, separator)
            if any(c.strip() for c in line_cells[width:]):
                raise UserError(
                    f"{path}, line {line.number}: {cells} cells under {width} headings; which"
                    " column has two? (a comma inside a cell needs quotes around it; a column"
                    " without a name needs one)"
                )
            most = max(most, cells)
            table_lines.append(line)
        elif (last and not ended) or line.text.count('"') % 2:
            notes.append(f"line {line.number}, torn off, was left out")
        else:
            raise UserError(
                f"{path}, line {line.number}: {cells} cells under {width} headings; fill the row"
                " up with empty cells, or delete it"
            )
    return table_lines, most, notes


def _without_torn_number(
    frame: pd.DataFrame, lines: list[_Line], ended: bool
) -> tuple[pd.DataFrame, np.ndarray, list[str]]:
    """Without a last row whose last number is shorter than all before, where no line ends it."""
    rows = np.array([line.number for line in lines])
    cells = frame.iloc[:, -1].str.strip()
    if ended or len(cells) < 8 or not cells.iloc[-1]:
        return frame, rows, []
    lengths = cells.iloc[:-1][cells.iloc[:-1] != ""].str.len()
    if len(lengths) < 7 or len(cells.iloc[-1]) >= lengths.min() or lengths.max() < 4:
        return frame, rows, []
    return frame.iloc[:-1], rows[:-1], [f"line {rows[-1]}, torn off, was left out"]


def _without_unnamed(frame: pd.DataFrame, unnamed: list[int]) -> pd.DataFrame:
    """Without empty columns that have no name; the number of the row in one is no column."""
    if not unnamed:
        return frame
    names = list(frame.columns)
    for k in unnamed:
        names[k] = f"column {k + 1}"
    frame = frame.set_axis(names, axis=1)
    empty = [names[k] for k in unnamed if (frame[names[k]].str.strip() == "").all()]
    return frame.drop(columns=empty)


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell.strip()) is not None


def _decimal(frame: pd.DataFrame, separator: str, path: Path) -> str:
    """Whether fractions stand after a comma, as in tables cut by semicolons."""
    if separator == ",":
        return "."
    head = frame.head(_SAMPLE)
    cells = [c.strip() for name in head for c in head[name] if "," in c]
    numbers = [c for c in cells if _COMMA_NUMBER.fullmatch(c)]
    if not numbers or any(
        _NUMBER.fullmatch(c.strip()) and "." in c and "e" not in c.lower()
        for name in head
        for c in head[name]
    ):
        return "."
    thousands = [c for c in numbers if re.fullmatch(r"[-+]?[1-9]\d{0,2},\d{3}", c)]
    if len(thousands) == len(numbers):
        raise UserError(
            f"{path}: is {numbers[0]!r} a fraction or a thousand? Write fractions with a point, or"
            " whole numbers without a comma"
        )
    return ","
