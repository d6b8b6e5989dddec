"""One chunk of documents to tokens, the work of every process of a build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from scalinglab.scaling.data.columns import Value
from scalinglab.scaling.data.documents import Chunk, Documents
from scalinglab.scaling.data.manifest import PARTS
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.tokenizers.tokenizer import Encoder

PIECE = 1 << 18  # characters of one document that are encoded together; a longer one is cut


@dataclass
class Counts:
    """Counts of rows, bytes and documents, which add up over chunks."""

    rows: int = 0
    empty: int = 0
    filtered: int = 0
    unreadable: int = 0
    first_empty: str = ""  # the place of the first row without text
    bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    documents: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))

    def add(self, chunk: Counts) -> None:
        """Add the counts of a further chunk."""
        for name in ("rows", "empty", "filtered", "unreadable"):
            setattr(self, name, getattr(self, name) + getattr(chunk, name))
        self.first_empty = self.first_empty or chunk.first_empty
        for part in PARTS:
            self.bytes[part] += chunk.bytes[part]
            self.documents[part] += chunk.documents[part]


@dataclass(frozen=True)
class Encoded:
    """The tokens of a chunk.

    Attributes
    ----------
    tokens : dict
        Part -> ids, the separator after each document.
    lengths : dict
        Part -> tokens of each document, int64, its separator among them.
    hashes : dict
        Part -> hash of the text of each document, uint64.
    counts : Counts
    columns : dict
        Part -> kept column -> value of each document.
    """

    tokens: dict[str, np.ndarray]
    lengths: dict[str, np.ndarray]
    hashes: dict[str, np.ndarray]
    counts: Counts
    columns: dict[str, dict[str, list[Value]]]


def encode_chunk(source: Documents, encoder: Encoder, chunk: Chunk) -> Encoded:
    """Read, select, cut and encode the documents of a chunk.

    Raises
    ------
    ConfigError
        If a row is no document.
    """
    selected = source.select(source.rows(chunk.content))
    texts: dict[str, list[str]] = {part: [] for part in PARTS}
    hashes: dict[str, list[int]] = {part: [] for part in PARTS}
    counts = Counts(
        rows=len(selected.texts) + selected.empty + selected.filtered + selected.unreadable,
        empty=selected.empty,
        filtered=selected.filtered,
        unreadable=selected.unreadable,
        first_empty=selected.first_empty,
    )
    columns: dict[str, dict[str, list[Value]]] = {
        part: {name: [] for name in selected.columns} for part in PARTS
    }
    for i, text in enumerate(selected.texts):
        text_bytes = text.encode()
        part, key = source.part_of(text_bytes, chunk.part)
        texts[part].append(text)
        hashes[part].append(key)
        for name, values in selected.columns.items():
            columns[part][name].append(values[i])
        counts.bytes[part] += len(text_bytes)
        counts.documents[part] += 1
    tokens, lengths = {}, {}
    for part in PARTS:
        tokens[part], lengths[part] = _encoded(texts[part], encoder)
    keys = {part: np.array(hashes[part], dtype=np.uint64) for part in PARTS}
    return Encoded(tokens, lengths, keys, counts, columns)


def _encoded(texts: Sequence[str], encoder: Encoder) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of documents one after another, and the length of each document."""
    pieces = [(i, piece) for i, text in enumerate(texts) for piece in cut(text)]
    ids = [i for batch in _batches([p for _, p in pieces]) for i in encoder.encode(batch)]
    separator = [] if encoder.separator is None else [np.array([encoder.separator], encoder.dtype)]
    arrays: list[np.ndarray] = []
    lengths = np.full(len(texts), len(separator), dtype=np.int64)
    highest = max((int(tokens.max()) for tokens in ids if len(tokens)), default=0)
    if highest >= encoder.vocab:
        raise ConfigError(
            f"the tokenizer gave the id {highest}; its vocabulary has {encoder.vocab}, so 0 to"
            f" {encoder.vocab - 1} are allowed"
        )
    for number, ((document, _), tokens) in enumerate(zip(pieces, ids, strict=True)):
        arrays.append(tokens)
        lengths[document] += len(tokens)
        if number + 1 == len(pieces) or pieces[number + 1][0] != document:
            arrays += separator
    joined = np.concatenate(arrays) if arrays else np.zeros(0, encoder.dtype)
    return joined.astype(encoder.dtype, copy=False), lengths


def cut(text: str) -> Iterator[str]:
    """A document in pieces, cut at the end of a line, or of a word, if possible."""
    start = 0
    while len(text) - start > PIECE:
        end = start + PIECE
        places = (text.rfind(mark, start + PIECE // 2, end) for mark in ("\n", " "))
        end = next((place + 1 for place in places if place >= 0), end)
        yield text[start:end]
        start = end
    yield text[start:]


def _batches(pieces: Sequence[str]) -> Iterator[list[str]]:
    """Pieces in groups of limited size: a tokenizer's objects take far more memory than text."""
    batch: list[str] = []
    size = 0
    for piece in pieces:
        batch.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
