"""Which pool each sequence of a run is drawn from: a pure function of the shares over the steps.

Sequence k belongs to the first pool whose count rises at k: the count of a pool among the sequences
that the pools before it left is the whole part of its summed share. So after any number of
sequences each pool has been drawn as often as its shares say, to about one sequence (systematic
sampling in place of draws, whose chance would be noise in the gradients), and how often a pool was
drawn before k is known without counting. All is done in whole numbers: every machine agrees.

>>> three, one = ([Piece("constant", 4, share, share)] for share in (0.75, 0.25))
>>> shares = Shares({"a": three, "b": one}, batch=1)
>>> pools, places = shares.at(0, 4)
>>> pools.tolist(), places.tolist(), shares.drawn(4)
([0, 0, 1, 0], [0, 1, 0, 2], {'a': 3, 'b': 1})
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from scalinglab.scaling.schedule.pieces import Piece, is_flat

BITS = 24  # of a share
MOST_SEQUENCES = 1 << (62 - BITS)  # of a run: their product with a share is a 64-bit number
STRETCHES = 1024  # a piece that moves is made of at most so many stretches of a constant share
_ONE = 1 << BITS


class Shares:
    """Pool and place of each sequence of one training.

    Parameters
    ----------
    pieces : mapping of str to sequence of Piece
        Pool -> its share over the steps; pieces are constant or linear.
    batch : int
        Sequences of a step.
    """

    def __init__(self, pieces: Mapping[str, Sequence[Piece]], batch: int) -> None:
        self.pools = sorted(pieces)
        self.batch = batch
        edges = sorted({0, *(e for p in pieces.values() for e, _ in _stretches(p))})
        shares = [_at_edges(pieces[pool], edges) for pool in self.pools]
        weights = [[round(share * _ONE) for share in row] for row in zip(*shares, strict=True)]
        self._tabulate([edge * batch for edge in edges], weights)

    def _tabulate(self, edges: Sequence[int], weights: Sequence[Sequence[int]]) -> None:
        """Tabulate the sequences that earlier pools leave, and the counts, by pool and stretch."""
        stretches, levels = len(weights), len(self.pools) - 1
        self._edges = np.array(edges[:-1], dtype=np.int64)
        self._rest = np.zeros((levels + 1, stretches + 1), dtype=np.int64)
        self._rest[0] = edges
        self._count = np.zeros((levels, stretches), dtype=np.int64)
        self._remainder = np.zeros((levels, stretches), dtype=np.int64)
        self._slope = np.zeros((levels, stretches), dtype=np.int64)
        for level in range(levels):
            count, remainder = 0, _ONE // 2
            for i, row in enumerate(weights):
                weight_left = sum(row[level:])
                slope = (row[level] << BITS) // weight_left if weight_left else 0
                self._count[level, i], self._remainder[level, i] = count, remainder
                self._slope[level, i] = slope
                passed = int(self._rest[level, i + 1] - self._rest[level, i])
                total = remainder + passed * slope
                count, remainder = count + (total >> BITS), total & (_ONE - 1)
                self._rest[level + 1, i + 1] = self._rest[level, i + 1] - count

    def at(self, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Pool of each of `count` sequences from `start` on, and its place in that pool's order.

        Returns
        -------
        ndarray, ndarray
            int64 (count,): numbers of `pools`, and places; those of one pool follow each other.
        """
        sequence = np.arange(start, start + count, dtype=np.int64)
        stretch = np.searchsorted(self._edges, sequence, side="right") - 1
        pools = np.full(count, len(self.pools) - 1)
        places = np.empty(count, dtype=np.int64)
        indices = np.arange(count)  # of the sequences that no pool has drawn so far
        remaining = sequence  # their numbers among the sequences that earlier pools leave
        for level in range(len(self.pools) - 1):
            before = self._counted(level, stretch, remaining)
            is_drawn = self._counted(level, stretch, remaining + 1) > before
            pools[indices[is_drawn]], places[indices[is_drawn]] = level, before[is_drawn]
            indices, stretch = indices[~is_drawn], stretch[~is_drawn]
            remaining = (remaining - before)[~is_drawn]
        places[indices] = remaining
        return pools, places

    def drawn(self, sequences: int) -> dict[str, int]:
        """Number of draws of each pool in the first `sequences` sequences."""
        remaining = np.array([sequences], dtype=np.int64)
        stretch = np.maximum(np.searchsorted(self._edges, remaining, side="left") - 1, 0)
        counts = {}
        for level, pool in enumerate(self.pools[:-1]):
            count = self._counted(level, stretch, remaining)
            counts[pool], remaining = int(count[0]), remaining - count
        return counts | {self.pools[-1]: int(remaining[0])}

    def _counted(self, level: int, stretch: np.ndarray, remaining: np.ndarray) -> np.ndarray:
        """Number of draws of a pool in the first `remaining` sequences that earlier pools leave."""
        passed = remaining - self._rest[level, stretch]
        total = self._remainder[level, stretch] + passed * self._slope[level, stretch]
        counted: np.ndarray = self._count[level, stretch] + (total >> BITS)
        return counted


def _stretches(pieces: Sequence[Piece]) -> Iterator[tuple[int, float]]:
    """Last step and share of each stretch; of a changing share its value in the middle."""
    start = 0
    for piece in pieces:
        stretches = 1 if is_flat(piece) else min(piece.steps, STRETCHES)
        edges = [piece.steps * j // stretches for j in range(stretches + 1)] if stretches else [0]
        for begin, last in itertools.pairwise(edges):
            middle = (begin + last) / 2 / piece.steps
            yield start + last, piece.start + (piece.end - piece.start) * middle
        start += piece.steps


def _at_edges(pieces: Sequence[Piece], edges: Sequence[int]) -> list[float]:
    """The share between each two edges, which are those of all pools."""
    stretches = list(_stretches(pieces))
    ends = [last for last, _ in stretches]
    places = np.searchsorted(ends, edges[1:], side="left")
    return [stretches[place][1] for place in places]
