"""Tokens on disk, memory-mapped, with a manifest that says what they are.

A store is a folder ``<outputs>/data/<source>-<key>/`` with ``train.bin``, ``validation.bin`` and
``manifest.json``. The validation part is cut by the source before anything else sees the data.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from scaling.data.order import DataOrder, permute
from scaling.records.atomic import create_folder, read_json, save_atomic, write_json


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
    """

    train: np.ndarray | Pieces
    validation: np.ndarray | Pieces
    vocab: int
    bytes_per_token: float
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What a store holds; `content_hash` is part of the identity of every run trained on it."""

    source: str
    options: dict[str, Any]
    vocab: int
    dtype: str
    train_tokens: int
    validation_tokens: int
    bytes_per_token: float
    content_hash: str
    facts: dict[str, Any]


class TokenStore:
    """Read access to a store.

    Parameters
    ----------
    folder : Path
        A folder that ``write_store`` made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = Manifest(**read_json(folder / "manifest.json"))
        self.train = self._map("train.bin")
        self.validation = self._map("validation.bin")

    def _map(self, name: str) -> np.ndarray:
        return np.memmap(self.folder / name, dtype=self.manifest.dtype, mode="r")

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


def gather(tokens: np.ndarray, windows: np.ndarray, context: int) -> np.ndarray:
    """Windows of `context` inputs and their targets: (*windows.shape, context + 1), a copy."""
    (stride,) = tokens.strides
    overlapping = as_strided(
        tokens, (window_count(len(tokens), context), context + 1), (context * stride, stride),
        writeable=False,
    )  # fmt: skip
    return overlapping[windows]


def window_count(tokens: int, context: int) -> int:
    """Windows that `tokens` tokens give; the last target needs one token more."""
    return (tokens - 1) // context


def write_store(folder: Path, source: str, options: dict[str, Any], corpus: Corpus) -> Manifest:
    """Write a corpus as a store, whole or not at all; what this process has made.

    Raises
    ------
    FileExistsError
        If something that is no store has its name.
    """
    made: list[Manifest] = []

    def fill(aside: Path) -> None:
        manifest = Manifest(
            source=source,
            options=options,
            vocab=corpus.vocab,
            dtype=str(corpus.train.dtype),
            train_tokens=len(corpus.train),
            validation_tokens=len(corpus.validation),
            bytes_per_token=corpus.bytes_per_token,
            content_hash=_write_tokens(aside, corpus),
            facts=corpus.facts,
        )
        write_json(aside / "manifest.json", asdict(manifest))
        made.append(manifest)

    # Another process may have been first: its store is as good.
    if not create_folder(folder, fill) and not (folder / "manifest.json").exists():
        raise FileExistsError(errno.EEXIST, "this is not a store; move it away", str(folder))
    return made[0]


def _write_tokens(folder: Path, corpus: Corpus) -> str:
    """Write both parts of a corpus; the hash of what they hold."""
    content = hashlib.sha256()
    for name, tokens in (("train", corpus.train), ("validation", corpus.validation)):
        content.update(f"{name} {tokens.dtype} {len(tokens)}\n".encode())

        def save(path: Path, tokens: np.ndarray | Pieces = tokens) -> None:
            with path.open("wb") as file:
                for part in tokens.parts() if isinstance(tokens, Pieces) else [tokens]:
                    content.update(np.ascontiguousarray(part).data)
                    part.tofile(file)

        save_atomic(folder / f"{name}.bin", save)
    return content.hexdigest()[:16]
