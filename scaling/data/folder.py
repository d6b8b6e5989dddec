"""Text and code in files: each file is a document, with its path as a column.

A file of more than a megabyte becomes several documents, cut at line ends, so that a part of one
large file can be held out, and no file has to fit into memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.data.documents import CHUNK, LONGEST, Chunk, Rows
from scalinglab.scaling.data.file_documents import REFUSE, FileDocuments
from scalinglab.scaling.data.files import line_of
from scalinglab.scaling.data.kinds import refuse_binary
from scalinglab.scaling.data.lines import LineTooLong, lines_between
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, setting

ENCODINGS = ("utf-8", "latin-1", "cp1252")
_TOGETHER = 256  # small files of one chunk, at most


@SOURCES.register("folder")
@dataclass(frozen=True)
class Folder(FileDocuments):
    """Documents in text files: data.options.path, and pattern, as in '*.py,*.md'.

    Conditions read the columns ``path``, ``name`` and ``bytes``.
    """

    pattern: str = "*.txt"
    encoding: str = setting("utf-8", ENCODINGS)
    # A file is cut at line ends into documents of about so many bytes; 0: only above a megabyte.
    document_bytes: int = setting(0, AT_LEAST_0, historic=0)

    @classmethod
    def kind(cls) -> str:
        """For messages."""
        return "text"

    def chunks(self) -> Iterator[Any]:
        """Chunks of about a megabyte; successive small files share a chunk."""
        group: list[Any] = []
        part, size = None, 0
        for chunk in super().chunks():
            _, start, end = chunk.content
            is_full = size + end - start > CHUNK or len(group) >= _TOGETHER
            if group and (is_full or chunk.part != part):
                yield Chunk(part, group)
                group, size = [], 0
            group.append(chunk.content)
            part, size = chunk.part, size + end - start
        if group:
            yield Chunk(part, group)

    def chunks_of(self, path: Path) -> Iterator[Any]:
        """Ranges of about a megabyte."""
        size = path.stat().st_size
        if size:
            refuse_binary(path)
        for start in range(0, max(size, 1), CHUNK):
            yield path, start, min(start + CHUNK, size)

    def origin(self, content: Any) -> Any:
        """All files are of one kind."""
        return None

    def rows(self, content: Any) -> Rows:
        """Read the files of a chunk.

        Raises
        ------
        ConfigError
            If a file is not text in the encoding, unless such files are skipped.
        """
        texts: list[Any] = []
        paths: list[Path] = []
        unreadable = 0
        for path, start, end in content:
            try:
                documents = self._cut(self._read(path, start, end))
            except UnicodeDecodeError as error:
                if self.unreadable == REFUSE:
                    raise ConfigError(
                        f"{path}: byte {error.object[error.start]:#04x} is no {self.encoding}:"
                        " convert the file, give data.options.encoding (one of"
                        f" {', '.join(ENCODINGS)}), or pass over such files with"
                        " data.options.unreadable=skip"
                    ) from None
                unreadable += 1
                continue
            texts += documents
            paths += [path] * len(documents)
        columns = {
            self.text: texts,
            "path": [path.as_posix() for path in paths],
            "name": [path.name for path in paths],
            "bytes": [None if t is None else len(t.encode()) for t in texts],
        }
        return Rows(columns, lambda i: str(paths[i]), unreadable)

    def column_names(self, content: Any) -> Sequence[str]:
        """The text, and the facts of a file."""
        return (self.text, "path", "name", "bytes")

    def _cut(self, text: str) -> list[str]:
        """The documents of a text."""
        if not self.document_bytes:
            return [text]
        documents, lines, size = [], [], 0
        for line in text.splitlines(keepends=True):
            lines.append(line)
            size += len(line.encode())
            if size >= self.document_bytes:
                documents.append("".join(lines))
                lines, size = [], 0
        return [*documents, "".join(lines)] if lines else documents or [text]

    def _read(self, path: Path, start: int, end: int) -> str:
        is_whole_file = start == 0 and end < CHUNK
        try:
            encoded = (
                path.read_bytes()
                if is_whole_file
                else b"".join(line for _, line in lines_between(path, start, end))
            )
        except LineTooLong as error:
            raise ConfigError(
                f"{path}, line {line_of(path, error.place):,}, has more than {LONGEST:,} bytes: one"
                " document may have as many; break the line"
            ) from None
        if start == 0 and self.encoding == "utf-8":
            encoded = encoded.removeprefix(b"\xef\xbb\xbf")
        return encoded.decode(self.encoding)
