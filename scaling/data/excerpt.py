"""Some documents of a part of a store, one after another, as if they were an array of tokens.

Windows are cut from what is left, so a document that is left out is in none of them. Weighted
documents are read in passes: in each pass one comes as often as its weight says, rounded up in some
passes and down in others, so that over many passes its frequency is its weight. Which pass rounds
how is a function of the documents and the pass alone, as the windows of a pass are.
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
        Where each document ends in them.
    documents : ndarray
        Numbers of those that are read, ascending.
    """

    def __init__(self, tokens: np.ndarray, ends: np.ndarray, documents: np.ndarray) -> None:
        self._tokens, self.documents = tokens, documents
        self.dtype = tokens.dtype
        last = np.asarray(ends)[documents]
        first = np.where(documents > 0, np.asarray(ends)[documents - 1], 0)
        self._first, self.lengths = first, last - first
        self.ends = np.cumsum(self.lengths)

    def __len__(self) -> int:
        """Tokens of all documents, or of a pass over them."""
        return int(self.ends[-1])

    def token_counts(self, vocab: int) -> np.ndarray:
        """How often each token is in what is read, float64 (vocab,); of weighted documents, over many
        passes, in units of one.
        """
        counts = np.zeros(vocab)
        rates = self.rates()
        block = np.searchsorted(self.ends, np.arange(0, len(self), _COUNTED), side="right")
        for some in np.split(np.arange(len(self.documents)), np.unique(block)[1:]):
            own = np.repeat(self._first[some], self.lengths[some])
            starts = np.cumsum(self.lengths[some]) - self.lengths[some]
            own += np.arange(len(own)) - np.repeat(starts, self.lengths[some])
            weights = np.repeat(rates[some], self.lengths[some])
            counts += np.bincount(self._tokens[own], weights, minlength=vocab)
        return counts

    def rates(self) -> np.ndarray:
        """How often each document comes in a pass on average, float64."""
        return np.ones(len(self.documents))

    def places(self, windows: np.ndarray, context: int) -> np.ndarray:
        """Where in the store the tokens of windows stand: (*windows.shape, context + 1), int64."""
        own = windows[..., None] * context + np.arange(context + 1)
        return _places(own, self._first, self.ends)

    def windows(self, windows: np.ndarray, context: int) -> np.ndarray:
        """The tokens of windows with their targets: (*windows.shape, context + 1), a copy."""
        return self._tokens[self.places(windows, context)]


class WeightedExcerpt(Excerpt):
    """Documents in passes, of about as many tokens as there are; window ``p n + i`` is i of pass p.

    Parameters
    ----------
    tokens, ends, documents : ndarray
        As of an `Excerpt`.
    weights : ndarray
        Of each of the documents, above 0.
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
        """How often each document comes in a pass, int64."""
        shift = (0.5 + number * _GOLDEN) % 1
        up_to = np.floor(self._marks + shift).astype(np.int64)
        times = np.empty(len(self.documents), dtype=np.int64)
        times[self._shuffled] = np.diff(up_to, prepend=0)
        return times

    def places(self, windows: np.ndarray, context: int) -> np.ndarray:
        """As of an `Excerpt`; a pass that is a little too short goes on from its beginning."""
        numbers, own = np.divmod(windows, (len(self) - 1) // context)
        found = np.empty((*windows.shape, context + 1), dtype=np.int64)
        for number in np.unique(numbers):
            here = numbers == number
            first, ends = self._pass(int(number))
            within = own[here][:, None] * context + np.arange(context + 1)
            found[here] = _places(within % ends[-1], first, ends)
        return found

    @functools.lru_cache(maxsize=2)  # noqa: B019 - a store lives as long as its process
    def _pass(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """First places and ends of the documents of a pass, one after another."""
        times = self.times(number)
        return np.repeat(self._first, times), np.cumsum(np.repeat(self.lengths, times))


def _places(own: np.ndarray, first: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Places in the store of places in documents that follow each other."""
    document = np.searchsorted(ends, own, side="right")
    starts = ends - np.diff(ends, prepend=0)
    found: np.ndarray = first[document] + own - starts[document]
    return found
