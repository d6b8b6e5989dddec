"""Parquet: the wanted columns alone are read, a few megabytes of a row group at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.data.documents import Rows
from scalinglab.scaling.data.file_documents import FileDocuments
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data.tables import rows_of, top_columns
from scalinglab.scaling.errors import ConfigError

_TOGETHER = 4 << 20  # bytes of the wanted columns that are read at once
_BATCH = 256  # rows


@SOURCES.register("parquet")
@dataclass(frozen=True)
class Parquet(FileDocuments):
    """Documents in parquet files: data.options.path, and text, the column."""

    pattern: str = "*.parquet"

    @classmethod
    def kind(cls) -> str:
        """For messages."""
        return "parquet"

    def chunks_of(self, path: Path) -> Iterator[Any]:
        """Stretches of the row groups."""
        with _opened(path) as file:
            metadata = file.metadata
            wanted = set(top_columns(self.names, file.schema_arrow.names))
            for group in range(metadata.num_row_groups):
                about = metadata.row_group(group)
                columns = (about.column(i) for i in range(about.num_columns))
                size = sum(
                    c.total_uncompressed_size
                    for c in columns
                    if c.path_in_schema.partition(".")[0] in wanted
                )
                rows = about.num_rows
                each = max(1, rows // max(1, -(-size // _TOGETHER)))
                for first in range(0, rows, each):
                    yield path, group, first, min(each, rows - first)

    def rows(self, content: Any) -> Rows:
        """Read a stretch of a row group."""
        path, group, first, count = content
        table = _cursor.read(path, group, self.names, first, count)
        return rows_of(table, self.names, lambda i: f"{path}, row {first + i + 1} of group {group}")

    def column_names(self, content: Any) -> Sequence[str]:
        """All columns of its file."""
        with _opened(content[0]) as file:
            return list(file.schema_arrow.names)


def _opened(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{path} is no parquet file that can be read: {error}") from error


class _Cursor(threading.local):
    """Where a thread is in a row group: the next stretch is read from there, not from its start."""

    key: tuple[Any, ...] = ()
    place = 0
    file: Any = None
    batches: Iterator[Any] = iter(())
    held: Any = None

    def read(self, path: Path, group: int, names: Sequence[str], first: int, count: int) -> Any:
        """Rows `first` to ``first + count - 1`` of a row group, as a table."""
        import pyarrow as pa

        stat = path.stat()
        key = (path, group, tuple(names), stat.st_size, stat.st_mtime_ns)
        if key != self.key or first < self.place:
            self.file = _opened(path)
            columns = top_columns(names, self.file.schema_arrow.names)
            self.batches = self.file.iter_batches(_BATCH, row_groups=[group], columns=columns)
            self.key, self.place, self.held = key, 0, None
        parts = []
        try:
            while count:
                if self.held is None or not len(self.held):
                    self.held = next(self.batches)
                skipped = min(first - self.place, len(self.held))
                taken = self.held.slice(skipped, count)
                self.held = self.held.slice(skipped + len(taken))
                self.place += skipped + len(taken)
                first, count = first + len(taken), count - len(taken)
                parts.append(taken)
        except (pa.ArrowException, OSError, StopIteration) as error:
            self.key = ()
            raise ConfigError(f"{path} is damaged: row group {group} cannot be read") from error
        return pa.Table.from_batches([p for p in parts if len(p)] or parts[:1])


_cursor = _Cursor()
