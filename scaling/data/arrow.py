"""Arrow's own files and streams (.arrow, .feather): what Hugging Face's datasets keep, too."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.data.documents import CHUNK, Rows
from scalinglab.scaling.data.file_documents import FileDocuments
from scalinglab.scaling.data.kinds import format_hint
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data.tables import rows_of
from scalinglab.scaling.errors import ConfigError

_FILE = b"ARROW1"


@SOURCES.register("arrow")
@dataclass(frozen=True)
class Arrow(FileDocuments):
    """Documents in files of Arrow: data.options.path, and text, the column."""

    pattern: str = "*.arrow,*.feather"

    @classmethod
    def kind(cls) -> str:
        """For messages."""
        return "Arrow"

    def chunks_of(self, path: Path) -> Iterator[Any]:
        """Stretches of the batches of rows."""
        for number, batch in enumerate(_batches(path)):
            each = max(1, batch.num_rows // max(1, -(-batch.nbytes // CHUNK)))
            for first in range(0, batch.num_rows, each):
                yield path, number, first, min(each, batch.num_rows - first)

    def rows(self, content: Any) -> Rows:
        """Read a stretch of a batch; the file is mapped, so the others are not read."""
        path, number, first, count = content
        batch = _cursor.batch(path, number)
        return rows_of(
            batch.slice(first, count),
            self.names,
            lambda i: f"{path}, row {first + i + 1} of batch {number}",
        )

    def column_names(self, content: Any) -> Sequence[str]:
        """All columns of its file."""
        return list(next(_batches(content[0])).schema.names)


class _Cursor(threading.local):
    """Where a thread is in a file: the next chunk is of this batch or of one after it.

    A stream can only be read forwards, so beginning anew for each chunk would take quadratic time.
    """

    key: tuple[Any, ...] = ()
    number = -1
    held: Any = None
    batches: Iterator[Any] = iter(())

    def batch(self, path: Path, number: int) -> Any:
        """A batch of rows of a file."""
        stat = path.stat()
        key = (path, stat.st_size, stat.st_mtime_ns)
        if key != self.key or number < self.number:
            self.key, self.number, self.batches = key, number - 1, _batches(path, number)
        try:
            while self.number < number:
                self.held = next(self.batches)
                self.number += 1
        except StopIteration:
            self.key = ()
            raise ConfigError(f"{path} has no batch {number}: it was changed meanwhile") from None
        return self.held


_cursor = _Cursor()


def _batches(path: Path, start: int = 0) -> Iterator[Any]:
    """The batches of a file from one on."""
    # Imported here, because most runs read no such file.
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            if source.read(len(_FILE)) == _FILE:
                file = pa.ipc.open_file(source)
                for i in range(start, file.num_record_batches):
                    yield file.get_batch(i)
                return
            source.seek(0)
            for i, batch in enumerate(pa.ipc.open_stream(source)):
                if i >= start:
                    yield batch
    except (pa.ArrowException, OSError) as error:
        hint = format_hint(path, "Arrow")
        raise ConfigError(f"{path} is no file of Arrow that can be read{hint}: {error}") from error
