"""Tokens on disk, memory-mapped, with a manifest that describes them.

A store is a folder ``<outputs>/data/<source>-<key>/`` with ``train.bin``, ``validation.bin`` and
``manifest.json``. The source cuts off the validation part before anything else reads the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from scalinglab.scaling.data.columns import VALUES, Column, column_file
from scalinglab.scaling.data.excerpt import Excerpt
from scalinglab.scaling.data.manifest import read_manifest
from scalinglab.scaling.data.order import DataOrder, permute
from scalinglab.scaling.data.verify import ENDS, check_tokens, ends_file
from scalinglab.scaling.data.vocabulary import Vocabulary, read_vocabulary


@dataclass(frozen=True)
class Pieces:
    """Tokens that may not fit into memory, as a sequence of arrays.

    Attributes
    ----------
    dtype : dtype
        Type of the arrays.
    tokens : int
        Number of tokens in all of them.
    parts : callable
        Yields the one-dimensional arrays in order.
    """

    dtype: np.dtype
    tokens: int
    parts: Callable[[], Iterable[np.ndarray]]

    def __len__(self) -> int:
        return self.tokens


@dataclass(frozen=True)
class Corpus:
    """The tokens of a source, to be written as a store.

    Attributes
    ----------
    train, validation : ndarray or Pieces
        Tokens, one-dimensional, uint8, uint16 or int32.
    vocab : int
        Size of the vocabulary.
    bytes_per_token : float
        Mean number of bytes of a validation token. It converts nats per token to bits per byte,
        which can be compared between tokenizers.
    facts : dict
        Further facts: numbers of files, or the exact entropy of a synthetic source.
    ends : dict
        Part -> ends of its documents, int64, if they are known.
    excluded : tuple of int
        Tokens that are no text and do not count as targets of the loss.
    count_overlap : bool
        Whether to count how much of the validation part is also in the training part. How much is
        allowed is an option ``max_overlap`` of the source.
    """

    train: np.ndarray | Pieces
    validation: np.ndarray | Pieces
    vocab: int
    bytes_per_token: float
    facts: dict[str, Any] = field(default_factory=dict)
    ends: dict[str, np.ndarray] = field(default_factory=dict)
    excluded: tuple[int, ...] = ()
    count_overlap: bool = False


class TokenStore:
    """Read access to a store; its tokens are compared with its manifest first.

    Parameters
    ----------
    folder : Path
        A folder that ``write_store`` made.

    Raises
    ------
    DamagedFile
        If it was changed after it was written.
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
        """The end of each document of a part, int64; None if unknown.

        Document i has the tokens from end i - 1 up to end i; its separator is the last of them.
        """
        if not self.manifest.documents.get(part):
            return None
        return np.memmap(self.folder / ends_file(part), dtype=ENDS, mode="r")

    def column(self, part: str, name: str) -> Column:
        """The value of a column for each document of a part.

        Raises
        ------
        KeyError
            If the store has no such column.
        """
        facts = self.manifest.columns[name]
        numbers = np.memmap(self.folder / column_file(part, facts["file"]), dtype=VALUES, mode="r")
        return Column(numbers, facts.get("categories"))

    def vocabulary(self) -> Vocabulary:
        """Bytes and frequency of each token."""
        return read_vocabulary(self.folder, self.manifest)

    def training_batches(
        self, orders: Sequence[DataOrder], step: int, steps: int, batch: int, context: int
    ) -> np.ndarray:
        """The batches of `steps` updates from `step` on, for each order.

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

        A sample of the whole validation part, not its beginning, which may be a single long file.
        It is the same for every run; a larger sample contains a smaller one.
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
    """Positions in their store of the tokens of windows: (*windows.shape, context + 1), int64."""
    if isinstance(tokens, Excerpt):
        return tokens.places(windows, context)
    return windows[..., None] * context + np.arange(context + 1)


def window_count(tokens: int, context: int) -> int:
    """The number of windows in `tokens` tokens; the last target needs one token more."""
    return (tokens - 1) // context
