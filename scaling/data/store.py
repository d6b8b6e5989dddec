"""Tokens on disk, memory-mapped, with a manifest that says what they are.

A store is a folder ``<outputs>/data/<source>-<key>/`` with ``train.bin``, ``validation.bin`` and
``manifest.json``. The validation part is cut by the source before anything else sees the data.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from scalinglab.scaling.data.columns import VALUES, Column, column_file
from scalinglab.scaling.data.excerpt import Excerpt
from scalinglab.scaling.data.making import abandoned_stores, refuse_other, signed
from scalinglab.scaling.data.manifest import DTYPES, PARTS, Manifest, read_manifest
from scalinglab.scaling.data.order import DataOrder, permute
from scalinglab.scaling.data.overlap import overlap, refuse_overlap
from scalinglab.scaling.data.verify import ENDS, TokenFile, check_tokens, ends_file, head
from scalinglab.scaling.data.vocabulary import Vocabulary, read_vocabulary
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import create_folder, save_atomic, write_json


@dataclass(frozen=True)
class Pieces:
    """Tokens that memory may not hold, part after part.

    Attributes
    ----------
    dtype : dtype
        Of the parts.
    tokens : int
        Of all parts together.
    parts : callable
        Gives them in order, one-dimensional.
    """

    dtype: np.dtype
    tokens: int
    parts: Callable[[], Iterable[np.ndarray]]

    def __len__(self) -> int:
        return self.tokens


@dataclass(frozen=True)
class Corpus:
    """What a source makes.

    Attributes
    ----------
    train, validation : ndarray or Pieces
        Tokens, one-dimensional, uint8, uint16 or int32.
    vocab : int
        Size of the alphabet.
    bytes_per_token : float
        Bytes that one validation token stands for, on average: turns nats per token to bits per
        byte, the loss that survives a change of tokenizer.
    facts : dict
        What else is known: numbers of files, or the exact entropy of a synthetic source.
    ends : dict
        Part -> where its documents end, int64, where that is known.
    excluded : tuple of int
        Tokens that are no text: as targets they count nothing in the loss.
    max_overlap : float or None
        Share of the validation part that the training part may hold as well; None: not looked at.
    """

    train: np.ndarray | Pieces
    validation: np.ndarray | Pieces
    vocab: int
    bytes_per_token: float
    facts: dict[str, Any] = field(default_factory=dict)
    ends: dict[str, np.ndarray] = field(default_factory=dict)
    excluded: tuple[int, ...] = ()
    max_overlap: float | None = None


class TokenStore:
    """Read access to a store, whose tokens are compared with its manifest first.

    Parameters
    ----------
    folder : Path
        A folder that ``write_store`` made.

    Raises
    ------
    DamagedFile
        If it does not hold what was written to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        check_tokens(folder, self.manifest)
        self.train: np.ndarray | Excerpt = self._map("train.bin")
        self.validation: np.ndarray | Excerpt = self._map("validation.bin")

    def _map(self, name: str) -> np.ndarray:
        return np.memmap(self.folder / name, dtype=self.manifest.dtype, mode="r")

    def document_ends(self, part: str) -> np.ndarray | None:
        """Where each document of a part ends, int64, the last at its end; None: not known.

        Document i has the tokens from the end before it up to its own, its separator the last.
        """
        if not self.manifest.documents.get(part):
            return None
        return np.memmap(self.folder / ends_file(part), dtype=ENDS, mode="r")

    def column(self, part: str, name: str) -> Column:
        """What the store keeps of each document of a part under a name.

        Raises
        ------
        KeyError
            If it keeps no such column.
        """
        about = self.manifest.columns[name]
        numbers = np.memmap(self.folder / column_file(part, about["file"]), dtype=VALUES, mode="r")
        return Column(numbers, about.get("categories"))

    def vocabulary(self) -> Vocabulary:
        """What is known of each token."""
        return read_vocabulary(self.folder, self.manifest)

    def training_batches(
        self, orders: Sequence[DataOrder], step: int, steps: int, batch: int, context: int
    ) -> np.ndarray:
        """What each order gives to the updates from `step` on.

        The last token of a window is the target of its last position and the first token of the
        next window.

        Returns
        -------
        ndarray
            (steps, orders, batch, context + 1), of the store's own dtype.
        """
        windows = [o.windows_at(step * batch, steps * batch).reshape(steps, batch) for o in orders]
        return gather(self.train, np.stack(windows, 1), context)

    def validation_batch(self, tokens: int, context: int) -> np.ndarray:
        """The fixed validation windows, in order: (tokens // context, context + 1).

        A sample over the whole validation part (its first file alone may be long), the same for
        every run; a larger sample contains a smaller one.
        """
        return gather(self.validation, self.validation_windows(tokens, context), context)

    def validation_windows(self, tokens: int, context: int) -> np.ndarray:
        """Numbers of the fixed validation windows, in order: int64 (tokens // context,)."""
        windows = window_count(len(self.validation), context)
        places = np.arange(tokens // context, dtype=np.uint64)
        return permute(places, windows, "validation").astype(np.int64)


def gather(tokens: np.ndarray | Excerpt, windows: np.ndarray, context: int) -> np.ndarray:
    """Windows of `context` inputs and their targets: (*windows.shape, context + 1), a copy."""
    if isinstance(tokens, Excerpt):
        return tokens.windows(windows, context)
    (stride,) = tokens.strides
    overlapping = as_strided(
        tokens,
        (window_count(len(tokens), context), context + 1),
        (context * stride, stride),
        writeable=False,
    )
    return overlapping[windows]


def places(tokens: np.ndarray | Excerpt, windows: np.ndarray, context: int) -> np.ndarray:
    """Where in their store the tokens of windows stand: (*windows.shape, context + 1), int64."""
    if isinstance(tokens, Excerpt):
        return tokens.places(windows, context)
    return windows[..., None] * context + np.arange(context + 1)


def window_count(tokens: int, context: int) -> int:
    """Windows that `tokens` tokens give; the last target needs one token more."""
    return (tokens - 1) // context


def write_store(folder: Path, source: str, options: dict[str, Any], corpus: Corpus) -> Manifest:
    """Write a corpus as a store, whole or not at all; what this process has made.

    What others left half made beside it goes first; two who make it at once do not disturb each
    other.

    Raises
    ------
    FileExistsError
        If something that is no store has its name.
    ConfigError
        If what the source gave is no corpus, or has tokens that are not of its vocabulary.
    """
    _check(source, corpus)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for left in abandoned_stores(folder.parent):
        shutil.rmtree(left, ignore_errors=True)
    made: list[Manifest] = []

    def fill(aside: Path) -> None:
        with signed(aside):
            content = _write_tokens(aside, corpus)
            facts = corpus.facts | _overlap(aside, source, corpus)
        manifest = Manifest(
            source=source,
            options=options,
            vocab=corpus.vocab,
            dtype=str(corpus.train.dtype),
            train_tokens=len(corpus.train),
            validation_tokens=len(corpus.validation),
            bytes_per_token=corpus.bytes_per_token,
            content_hash=content,
            facts=facts,
            documents={part: len(ends) for part, ends in corpus.ends.items()},
            excluded=corpus.excluded,
        )
        write_json(aside / "manifest.json", manifest.to_dict())
        made.append(manifest)

    # Another process may have been first: its store is as good.
    if not create_folder(folder, fill):
        refuse_other(folder)
    return made[0]


def _check(source: str, corpus: Any) -> None:
    """Refuse what the code of a source gives that is no corpus."""
    if not isinstance(corpus, Corpus):
        raise ConfigError(
            f"data.source = {source!r}: corpus() gave a {type(corpus).__name__}, not a Corpus"
        )
    for name, tokens in (("train", corpus.train), ("validation", corpus.validation)):
        if not isinstance(tokens, np.ndarray | Pieces) or getattr(tokens, "ndim", 1) != 1:
            raise ConfigError(
                f"data.source = {source!r}: its {name} tokens are no one-dimensional array"
            )
        if str(tokens.dtype) not in DTYPES:
            raise ConfigError(
                f"data.source = {source!r}: its {name} tokens are {tokens.dtype}; allowed is "
                f"{', '.join(DTYPES)}, as narrow as the vocabulary allows"
            )
        if not len(tokens):
            raise ConfigError(f"data.source = {source!r}: it has no {name} tokens")


def _check_range(tokens: np.ndarray, vocab: int) -> None:
    lowest, highest = (int(tokens.min()), int(tokens.max())) if len(tokens) else (0, 0)
    if lowest < 0 or highest >= vocab:
        wrong = lowest if lowest < 0 else highest
        raise ConfigError(f"the source gave the token {wrong}; its vocabulary is 0 to {vocab - 1}")


def _write_tokens(folder: Path, corpus: Corpus) -> str:
    """Write both parts of a corpus; the hash of what they hold."""
    content = hashlib.sha256()
    for name, tokens in (("train", corpus.train), ("validation", corpus.validation)):
        content.update(head(name, tokens.dtype, len(tokens)))

        def save(path: Path, tokens: np.ndarray | Pieces = tokens) -> None:
            written = 0
            with path.open("wb") as file:
                for part in tokens.parts() if isinstance(tokens, Pieces) else [tokens]:
                    _check_range(part, corpus.vocab)
                    content.update(np.ascontiguousarray(part).data)
                    part.tofile(file)
                    written += len(part)
            if written != len(tokens):
                raise ConfigError(
                    f"the source gave {written:,} tokens, not the {len(tokens):,} "
                    "that it had counted: its files were changed while they were "
                    "read; give the command again"
                )

        save_atomic(folder / f"{name}.bin", save)
    for part, ends in sorted(corpus.ends.items()):
        content.update(head(ends_file(part).removesuffix(".bin"), ENDS, len(ends)))
        content.update(np.ascontiguousarray(ends, dtype=ENDS).data)
        ends.astype(ENDS).tofile(folder / ends_file(part))
    if corpus.excluded:
        content.update(f"excluded {sorted(corpus.excluded)}\n".encode())
    return content.hexdigest()[:16]


def _overlap(folder: Path, source: str, corpus: Corpus) -> dict[str, Any]:
    """How much of the validation part the training part holds; refused where it is too much."""
    if corpus.max_overlap is None:
        return {}
    parts = [TokenFile(folder / f"{part}.bin", corpus.train.dtype) for part in PARTS]
    ends = corpus.ends.get("validation")
    found = overlap(parts[0], parts[1], corpus.bytes_per_token, ends)
    refuse_overlap(source, found, found.share, corpus.max_overlap)
    return {"overlap": round(found.share, 6)}
