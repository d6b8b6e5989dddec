"""Arrow's own files and streams (.arrow, .feather): what Hugging Face's datasets keep, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.data.documents import CHUNK, FileDocuments, Rows
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data.tables import rows_of
from scalinglab.scaling.fields import ConfigError

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
        batch = next(_batches(path, number))
        return rows_of(
            batch.slice(first, count),
            self.names,
            lambda i: f"{path}, row {first + i + 1} of batch {number}",
        )

    def column_names(self, content: Any) -> Sequence[str]:
        """All columns of its file."""
        return list(next(_batches(content[0])).schema.names)


def _batches(path: Path, start: int = 0) -> Iterator[Any]:
    """The batches of a file from one on."""
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
        raise ConfigError(f"{path} is no file of Arrow that can be read: {error}") from error
