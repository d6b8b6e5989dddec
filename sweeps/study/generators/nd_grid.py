"""A grid of sizes and tokens: what Farseer (arXiv 2506.10972) fits in stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, Within, setting
from scalinglab.sweeps.study.generator import GENERATORS, Design
from scalinglab.sweeps.study.rungs import SEVERAL, Rung, spread


@GENERATORS.register("nd_grid")
@dataclass(frozen=True, kw_only=True)
class NDGrid(Design):
    """Sizes times tokens, both evenly spaced in logarithms.

    Attributes
    ----------
    count : int
        Number of sizes.
    smallest, largest : float
        N of the smallest and the largest size.
    tokens : float
        The fewest tokens of a run.
    factor : float
        Ratio of neighbouring numbers of tokens.
    steps : int
        How many numbers of tokens.
    """

    count: int = setting(5, SEVERAL)
    smallest: float = setting(1e4, ABOVE_0)
    largest: float = setting(1e5, ABOVE_0)
    tokens: float = setting(262_144, ABOVE_0)
    factor: float = setting(2.0, Within(1, above=True))
    steps: int = setting(4, AT_LEAST_1)

    def groups(self, sizes: Sequence[Rung], key: str) -> list[list[dict[str, int]]]:
        """Every number of tokens at every size: differences along D cancel what depends on N."""
        chosen = spread(sizes, self.smallest, self.largest, self.count, key)
        tokens = [self.tokens * self.factor**k for k in range(self.steps)]
        return [[rung.at(d, seed) for d in tokens for seed in range(self.seeds)] for rung in chosen]
