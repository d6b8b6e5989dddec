"""JSON Lines, plain or compressed by gzip or Zstandard: one object a line, its text in a column.

Several processes read ranges of a plain file. A compressed file is decompressed by one process from
its beginning, and its lines are parsed and encoded by several.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scalinglab.scaling.data.documents import CHUNK, LONGEST, Rows
from scalinglab.scaling.data.file_documents import REFUSE, FileDocuments
from scalinglab.scaling.data.files import line_of
from scalinglab.scaling.data.kinds import refuse_format
from scalinglab.scaling.data.lines import LineTooLong, lines_between
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data.tables import inner
from scalinglab.scaling.errors import ConfigError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # how it begins
_GZIP, _ZSTD = b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"


@SOURCES.register("jsonl")
@dataclass(frozen=True)
class JsonLines(FileDocuments):
    """Documents in JSON Lines (.jsonl, .gz, .zst): data.options.path, and text, the column."""

    pattern: str = "*.jsonl,*.jsonl.gz,*.jsonl.zst,*.ndjson,*.json.gz,*.json.zst"

    @classmethod
    def kind(cls) -> str:
        """For messages."""
        return "JSON Lines"

    def chunks_of(self, path: Path) -> Iterator[Any]:
        """Ranges of a plain file, or groups of lines of a compressed file."""
        if _compression(path) is None:
            refuse_format(path)
            size = path.stat().st_size
            for start in range(0, size, CHUNK):
                yield path, start, min(start + CHUNK, size)
            return
        with _opened(path) as file:
            lines: list[bytes] = []
            number, size = 1, 0
            while line := file.readline(LONGEST + 1):
                if len(line) > LONGEST:
                    raise ConfigError(_too_long(path, number + len(lines)))
                lines.append(line)
                size += len(line)
                if size >= CHUNK:
                    yield path, number, lines
                    number, lines, size = number + len(lines), [], 0
            if lines:
                yield path, number, lines

    def rows(self, content: Any) -> Rows:
        """Parse the lines of a chunk.

        Raises
        ------
        ConfigError
            If a line is no object in UTF-8, unless such lines are skipped; names file and line.
        """
        path, start, end_or_lines = content
        columns: dict[str, list[Any]] = {name: [] for name in self.names}
        places: list[int] = []
        unreadable = 0
        for place, line in _lines(path, start, end_or_lines):
            try:
                row = _parsed(line)
            except ValueError as error:
                if self.unreadable == REFUSE:
                    number = _line_number(path, place, end_or_lines)
                    raise ConfigError(
                        f"{path}, line {number:,}: {error}; mend the line, or pass over such lines"
                        " with data.options.unreadable=skip"
                    ) from None
                unreadable += 1
                continue
            if row is None:
                continue
            places.append(place)
            for name, values in columns.items():
                values.append(_value(row, name))
        return Rows(
            columns,
            lambda i: f"{path}, line {_line_number(path, places[i], end_or_lines):,}",
            unreadable,
        )

    def column_names(self, content: Any) -> Sequence[str]:
        """The keys of the first object."""
        for _, line in _lines(*content):
            try:
                row = _parsed(line)
            except ValueError:
                continue
            if row is not None:
                return list(row)
        return ()


def _lines(path: Path, start: int, end_or_lines: Any) -> Iterator[tuple[int, bytes]]:
    """Lines of a chunk, each with its place: a byte of a plain file, else the line's number."""
    if not isinstance(end_or_lines, int):
        yield from enumerate(end_or_lines, start)
        return
    try:
        yield from lines_between(path, start, end_or_lines)
    except LineTooLong as error:
        raise ConfigError(_too_long(path, line_of(path, error.place))) from None


def _line_number(path: Path, place: int, end_or_lines: Any) -> int:
    return line_of(path, place) if isinstance(end_or_lines, int) else place


def _too_long(path: Path, number: int) -> str:
    return (
        f"{path}, line {number:,}, has more than {LONGEST:,} bytes: one document may have as many;"
        " split it, and see whether the file is JSON Lines, one object a line"
    )


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The object in a line; None if the line is empty."""
    try:
        text = line.decode("utf-8-sig" if line.startswith(b"\xef\xbb\xbf") else "utf-8")
    except UnicodeDecodeError as error:
        wide = " (the file looks like UTF-16: convert it)" if line[:2] in _UTF16 else ""
        raise ValueError(f"byte {line[error.start]:#04x} is no UTF-8{wide}") from None
    if text.isspace() or not text:
        return None
    try:
        row = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos + 1:,}{_other_format(text)}"
        raise ValueError(f"it is no JSON: {reason}") from None
    if not isinstance(row, dict):
        held = f"it holds a value of the type {type(row).__name__}, an object is wanted"
        raise ValueError(f"{held}{_other_format(text)}")
    if "\\ud" in text or "\\uD" in text:
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("it holds half of a surrogate pair, which is no Unicode") from None
    return row


def _other_format(text: str) -> str:
    """A hint at what a line is that is no object, "" if it looks like a damaged one."""
    if text[0] == "[":
        return " (an array over several lines is not JSON Lines: it has one object a line)"
    if text.strip() == "{":
        return " (an object over several lines is not JSON Lines: it has one object a line)"
    if "\0" in text:
        return " (it holds zeros, as UTF-16 does: convert the file to UTF-8)"
    if "\r" in text.strip():
        return " (its lines end in CR alone: convert the file to lines that end in LF)"
    if text.lstrip()[0] != "{" and ("," in text or "\t" in text):
        return " (it looks like CSV or TSV: data=hf reads a folder of such files)"
    return ""


def _value(row: dict[str, Any], name: str) -> Any:
    """A value by its key or by a path of keys: ``meta.lang``."""
    return row[name] if name in row else inner(row, name.split("."))


def _compression(path: Path) -> str | None:
    with path.open("rb") as file:
        magic = file.read(4)
    if magic.startswith(_GZIP):
        return "gzip"
    return "zstd" if magic == _ZSTD else None


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A compressed file, decompressed as it is read.

    Raises
    ------
    ConfigError
        If it ends early or is damaged.
    """
    try:
        if _compression(path) == "gzip":
            with gzip.open(path, "rb") as file:
                yield io.BufferedReader(file)
        else:
            # Imported here, because most files need no pyarrow.
            import pyarrow as pa

            with pa.OSFile(str(path)) as raw, pa.CompressedInputStream(raw, "zstd") as stream:
                yield io.BufferedReader(stream, 1 << 20)
    except (EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ConfigError(f"{path} cannot be decompressed: {error}") from error
