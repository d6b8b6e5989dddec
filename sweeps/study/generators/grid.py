"""The grid alone: every combination of its axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scalinglab.sweeps.study.generator import GENERATORS, Block, Generator, Point


@GENERATORS.register("grid")
@dataclass(frozen=True)
class Grid(Generator):
    """It has no options: the axes stand in the block's ``grid``."""

    def points(self, block: Block) -> Iterator[Point]:
        """See ``Generator.points``."""
        yield from block.grid_points
