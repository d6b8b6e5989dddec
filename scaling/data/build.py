"""The store of a source of documents: read, encoded and written chunk by chunk.

The progress is saved every few seconds, so that a killed build resumes there. Several processes
encode chunks, but they are written in their order: the store does not depend on the number of
processes. Only a few chunks are in memory.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.data.columns import ColumnKinds, column_file
from scalinglab.scaling.data.documents import Chunk, Documents
from scalinglab.scaling.data.encode import Counts, Encoded, encode_chunk
from scalinglab.scaling.data.making import Maker, placed, resumed
from scalinglab.scaling.data.manifest import PARTS, Manifest
from scalinglab.scaling.data.processes import mapped
from scalinglab.scaling.data.summary import hashes_file, summarize
from scalinglab.scaling.data.verify import ENDS, ends_file
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.damage import DamagedFile, Shape
from scalinglab.scaling.tokenizers.artefact import Artefact
from scalinglab.scaling.tokenizers.tokenizer import Encoder

log = logging.getLogger(__name__)
NOTE = "progress.json"  # sizes of the files and counts, up to the last complete chunk
NOTE_SECONDS = 5.0  # between two notes
MANY_EMPTY = 0.01  # share of the rows: more rows without text than this are warned of
LOG_SECONDS = 15.0  # between two lines of progress
SMALL = 8 << 20  # bytes: a smaller source is encoded before other processes have started
_NOTE: Shape = {"chunks": int, "counts": dict, "sizes": dict}


@dataclass
class _Written:
    """The files of a build, and the counts of what was written to them."""

    folder: Path
    columns: list[str]
    chunks: int = 0
    counts: Counts = field(default_factory=Counts)
    kinds: ColumnKinds = field(default_factory=ColumnKinds)

    def __enter__(self) -> _Written:
        note = self._read_note()
        self._files = {name: (self.folder / name).open("ab") for name in self.names()}
        for name, file in self._files.items():
            size = note["sizes"].get(name, 0)
            if file.tell() < size:
                raise DamagedFile(self.folder / name, "it is shorter than it was", "remove it")
            file.truncate(size)
            file.seek(size)
        self.chunks, self.counts = note["chunks"], Counts(**note["counts"])
        self.kinds = ColumnKinds(**note.get("columns", {}))
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files.values():
            file.close()

    def names(self) -> list[str]:
        """The files: tokens, ends of documents, hashes of documents, columns."""
        names = [name for p in PARTS for name in (f"{p}.bin", ends_file(p), hashes_file(p))]
        return names + [column_file(p, i) for i in range(len(self.columns)) for p in PARTS]

    def _read_note(self) -> dict[str, Any]:
        try:
            note: dict[str, Any] = read_json(self.folder / NOTE, _NOTE)
        except (FileNotFoundError, DamagedFile):
            return {"chunks": 0, "counts": asdict(Counts()), "sizes": {}}
        return note

    def add(self, encoded: Encoded) -> None:
        """Append a chunk."""
        for part in PARTS:
            before = self._files[f"{part}.bin"].tell() // encoded.tokens[part].dtype.itemsize
            encoded.tokens[part].tofile(self._files[f"{part}.bin"])
            ends = before + np.cumsum(encoded.lengths[part], dtype=ENDS)
            ends.tofile(self._files[ends_file(part)])
            encoded.hashes[part].tofile(self._files[hashes_file(part)])
            for i, name in enumerate(self.columns):
                values = self.kinds.numbers(name, encoded.columns[part][name])
                values.tofile(self._files[column_file(part, i)])
        self.counts.add(encoded.counts)
        self.chunks += 1

    def note(self) -> None:
        """Flush all files to the disk, and save their sizes and the counts."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        sizes = {name: file.tell() for name, file in self._files.items()}
        note = {"chunks": self.chunks, "counts": asdict(self.counts), "sizes": sizes}
        note |= {"columns": asdict(self.kinds)}
        write_json(self.folder / NOTE, note)


def build_store(
    folder: Path,
    name: str,
    options: dict[str, Any],
    source: Documents,
    state: Any,
    artefact: Artefact,
    processes: int,
) -> None:
    """Build the store of a source of documents, or resume a build.

    Parameters
    ----------
    folder : Path
        The store's folder.
    name, options : str, dict
        The source and its options, for the manifest.
    source : Documents
    state : any
        The state of the source's files from which the folder's name was made.
    artefact : Artefact
        The tokenizer.
    processes : int
        The number of encoding processes.

    Raises
    ------
    ConfigError
        If a document cannot be read, a part would be empty, or files changed meanwhile.
    """
    with resumed(folder) as maker:
        if maker is None:
            return
        aside = maker.folder
        try:
            manifest = _built(maker, name, options, source, state, artefact, processes)
        except ConfigError:
            shutil.rmtree(aside, ignore_errors=True)  # resuming would fail in the same way
            raise
        write_json(aside / "manifest.json", manifest.to_dict())
        for temporary in (NOTE, *map(hashes_file, PARTS)):
            (aside / temporary).unlink(missing_ok=True)
        placed(maker, folder)


def _built(
    maker: Maker,
    name: str,
    options: dict[str, Any],
    source: Documents,
    state: Any,
    artefact: Artefact,
    processes: int,
) -> Manifest:
    encoder, aside = _encoder(artefact), maker.folder
    with _Written(aside, source.kept) as written:
        _encode(written, maker, source, artefact, processes)
    _warn_of_empty(written.counts, source)
    if source.state() != state:
        raise ConfigError(
            f"data.source = {name!r}: its files were changed while they were read; give the"
            " command again"
        )
    columns = written.kinds.described(aside, source.kept, PARTS)
    return summarize(aside, name, options, source, artefact, encoder, written.counts, columns)


def _encode(
    written: _Written, maker: Maker, source: Documents, artefact: Artefact, processes: int
) -> None:
    size = source.size
    if size is not None and size < SMALL:
        processes = 1
    if written.chunks:
        done = _text_bytes(written.counts) / 1e6
        log.warning("%s: going on after %.0f MB of text", maker.name, done)
    remaining = itertools.islice(source.chunks(), written.chunks, None)
    began = noted_at = logged_at = time.monotonic()
    bytes_before = _text_bytes(written.counts)
    for encoded in mapped(_encoded, (source, artefact), remaining, processes):
        maker.check()  # after a long sleep this process may have a successor: then it stops
        written.add(encoded)
        now = time.monotonic()
        if now - noted_at > NOTE_SECONDS:
            written.note()
            noted_at = time.monotonic()
        if now - logged_at > LOG_SECONDS:
            _log(maker.name, written.counts, bytes_before, now - began, size)
            logged_at = now
    written.note()


def _warn_of_empty(counts: Counts, source: Documents) -> None:
    if counts.empty > MANY_EMPTY * counts.rows and sum(counts.documents.values()) > 0:
        log.warning(
            "%s of %s rows have no text in the column %r (data.options.text) and are left out;"
            " the first is %s",
            f"{counts.empty:,}",
            f"{counts.rows:,}",
            source.text,
            counts.first_empty,
        )


def _encoded(shared: tuple[Documents, Artefact], chunk: Chunk) -> Encoded:
    source, artefact = shared
    return encode_chunk(source, _encoder(artefact), chunk)


@functools.lru_cache(maxsize=1)
def _encoder(artefact: Artefact) -> Encoder:
    """The encoder of this process; libraries may not pickle an encoder completely."""
    return artefact.encoder()


def _log(name: str, counts: Counts, bytes_before: int, seconds: float, size: int | None) -> None:
    text_bytes = _text_bytes(counts)
    rate = (text_bytes - bytes_before) / seconds
    files = "" if size is None else f" from files of {size / 1e6:,.0f} MB"
    megabytes = f"{text_bytes / 1e6:,.0f} MB of text{files}"
    log.warning("%s: %s turned into tokens, %.1f MB/s", name, megabytes, rate / 1e6)


def _text_bytes(counts: Counts) -> int:
    return sum(counts.bytes.values())
