"""Some documents of a part of a store, one after another, as if they were an array of tokens.

Windows are cut from these documents only, so that others are in none of them. Weighted documents
are read in passes: in each pass a document occurs as often as its weight says, rounded up in some
passes and down in others, so that its mean frequency over many passes is its weight. The rounding
in a pass and its windows are functions of the documents and the number of the pass alone.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from scalinglab.scaling.data.order import uniform_bits

_COUNTED = 1 << 22  # tokens that are counted at once, and the rest of a document
_GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it, modulo 1, are spread evenly


class Excerpt:
    """Documents of an array of tokens, each once, in their order.

    Parameters
    ----------
    tokens : ndarray
        All tokens, mapped.
    ends : ndarray
        The end of each document in `tokens`.
    documents : ndarray
        Numbers of the selected documents, ascending.
    """

    def __init__(self, tokens: np.ndarray, ends: np.ndarray, documents: np.ndarray) -> None:
        self._tokens, self.documents = tokens, documents
        self.dtype = tokens.dtype
        starts = np.where(documents > 0, np.asarray(ends)[documents - 1], 0)
        self._starts, self.lengths = starts, np.asarray(ends)[documents] - starts
        self.ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        """Tokens of all documents, or of a pass over them."""
        return int(self.ends[-1])

    def token_counts(self, vocab: int) -> np.ndarray:
        """Mean count of each token in one pass, float64 (vocab,).

        Of weighted documents it is the mean over many passes.
        """
        counts = np.zeros(vocab)
        rates = self.rates()
        block = np.searchsorted(self.ends, np.arange(0, len(self), _COUNTED), side="right")
        for group in np.split(np.arange(len(self.documents)), np.unique(block)[1:]):
            lengths = self.lengths[group]
            starts_in_group = np.cumsum(lengths) - lengths
            places = np.repeat(self._starts[group] - starts_in_group, lengths)
            places += np.arange(len(places))
            weights = np.repeat(rates[group], lengths)
            counts += np.bincount(self._tokens[places], weights, minlength=vocab)
        return counts

    def rates(self) -> np.ndarray:
        """Mean number of times that a pass reads each document, float64."""
        return np.ones(len(self.documents))

    def places(self, windows: np.ndarray, context: int) -> np.ndarray:
        """Positions in the store of the tokens of windows: (*windows.shape, context + 1), int64."""
        positions = windows[..., None] * context + np.arange(context + 1)
        return _in_store(positions, self._starts, self.ends)

    def windows(self, windows: np.ndarray, context: int) -> np.ndarray:
        """The tokens of windows with their targets: (*windows.shape, context + 1), a copy."""
        return self._tokens[self.places(windows, context)]


class WeightedExcerpt(Excerpt):
    """Weighted documents in passes of about as many tokens as all of them have together.

    With n windows a pass, window ``p n + i`` is window i of pass p.

    Parameters
    ----------
    tokens, ends, documents : ndarray
        See `Excerpt`.
    weights : ndarray
        The weight of each document, above 0.
    """

    def __init__(
        self, tokens: np.ndarray, ends: np.ndarray, documents: np.ndarray, weights: np.ndarray
    ) -> None:
        super().__init__(tokens, ends, documents)
        # In an order that says nothing of them, so that neighbours are not rounded alike. Sums one
        # after another: their last digit is the same on every machine.
        self._shuffled = np.argsort(uniform_bits(documents.astype(np.uint64), "weights"))
        mean = np.cumsum(weights * self.lengths)[-1] / len(self)
        self._marks = np.cumsum((weights / mean)[self._shuffled])

    def rates(self) -> np.ndarray:
        """As of an `Excerpt`."""
        rates = np.empty(len(self.documents))
        rates[self._shuffled] = np.diff(self._marks, prepend=0.0)
        return rates

    def times(self, number: int) -> np.ndarray:
        """Number of times that a pass reads each document, int64."""
        shift = (0.5 + number * _GOLDEN) % 1
        up_to = np.floor(self._marks + shift).astype(np.int64)
        times = np.empty(len(self.documents), dtype=np.int64)
        times[self._shuffled] = np.diff(up_to, prepend=0)
        return times

    def places(self, windows: np.ndarray, context: int) -> np.ndarray:
        """As `Excerpt.places`; a pass that is a little too short continues at its beginning."""
        passes, in_pass = np.divmod(windows, (len(self) - 1) // context)
        places = np.empty((*windows.shape, context + 1), dtype=np.int64)
        for number in np.unique(passes):
            of_pass = passes == number
            starts, ends = self._pass(int(number))
            positions = in_pass[of_pass][:, None] * context + np.arange(context + 1)
            places[of_pass] = _in_store(positions % ends[-1], starts, ends)
        return places

    @functools.lru_cache(maxsize=2)  # noqa: B019 - a store lives as long as its process
    def _pass(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The starts in the store, and the ends in the pass, of the documents of a pass."""
        times = self.times(number)
        return np.repeat(self._starts, times), np.cumsum(np.repeat(self.lengths, times))


def _in_store(positions: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Positions in the store of positions in the concatenated documents.

    Parameters
    ----------
    positions : ndarray
    starts : ndarray
        The start of each document in the store.
    ends : ndarray
        The end of each document in the concatenation.
    """
    document = np.searchsorted(ends, positions, side="right")
    concatenated_starts = ends - np.diff(ends, prepend=0)
    in_store: np.ndarray = starts[document] + positions - concatenated_starts[document]
    return in_store
