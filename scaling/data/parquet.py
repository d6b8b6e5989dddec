"""Parquet files: only the needed columns are read, a few megabytes of a row group at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.data.documents import Rows
from scalinglab.scaling.data.file_documents import FileDocuments
from scalinglab.scaling.data.kinds import format_hint
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data.tables import rows_of, top_columns
from scalinglab.scaling.errors import ConfigError

_TOGETHER = 4 << 20  # bytes of the needed columns that are read at once
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
            needed = set(top_columns(self.names, file.schema_arrow.names))
            for group in range(metadata.num_row_groups):
                row_group = metadata.row_group(group)
                columns = (row_group.column(i) for i in range(row_group.num_columns))
                size = sum(
                    c.total_uncompressed_size
                    for c in columns
                    if c.path_in_schema.partition(".")[0] in needed
                )
                rows = row_group.num_rows
                chunk_rows = max(1, rows // max(1, -(-size // _TOGETHER)))
                for start in range(0, rows, chunk_rows):
                    yield path, group, start, min(chunk_rows, rows - start)

    def rows(self, content: Any) -> Rows:
        """Read a stretch of a row group."""
        path, group, start, count = content
        table = _cursor.read(path, group, self.names, start, count)
        return rows_of(table, self.names, lambda i: f"{path}, row {start + i + 1} of group {group}")

    def column_names(self, content: Any) -> Sequence[str]:
        """All columns of its file."""
        with _opened(content[0]) as file:
            return list(file.schema_arrow.names)


def _opened(path: Path) -> Any:
    # Imported here, because most runs read no such file.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        hint = format_hint(path, "parquet")
        raise ConfigError(f"{path} is no parquet file that can be read{hint}: {error}") from error


class _Cursor(threading.local):
    """The position of a thread in a row group, from which the next stretch is read.

    Without it each stretch would be read from the group's beginning.
    """

    key: tuple[Any, ...] = ()
    place = 0  # rows of the group that were read
    file: Any = None
    batches: Iterator[Any] = iter(())
    batch: Any = None  # the unread rows of the present batch

    def read(self, path: Path, group: int, names: Sequence[str], start: int, count: int) -> Any:
        """Rows `start` to ``start + count - 1`` of a row group, as a table."""
        # Imported here, because most runs read no such file.
        import pyarrow as pa

        stat = path.stat()
        key = (path, group, tuple(names), stat.st_size, stat.st_mtime_ns)
        if key != self.key or start < self.place:
            self.file = _opened(path)
            columns = top_columns(names, self.file.schema_arrow.names)
            self.batches = self.file.iter_batches(_BATCH, row_groups=[group], columns=columns)
            self.key, self.place, self.batch = key, 0, None
        slices = []
        try:
            while count:
                if self.batch is None or not len(self.batch):
                    self.batch = next(self.batches)
                skipped = min(start - self.place, len(self.batch))
                rows = self.batch.slice(skipped, count)
                self.batch = self.batch.slice(skipped + len(rows))
                self.place += skipped + len(rows)
                start, count = start + len(rows), count - len(rows)
                slices.append(rows)
        except (pa.ArrowException, OSError, StopIteration) as error:
            self.key = ()
            raise ConfigError(f"{path} is damaged: row group {group} cannot be read") from error
        return pa.Table.from_batches([rows for rows in slices if len(rows)] or slices[:1])


_cursor = _Cursor()
