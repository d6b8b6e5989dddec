"""A matrix that is the product of two block-diagonal ones with a shuffle between them."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.model.part import LINEARS, Linear, Size, divided


@LINEARS.register("monarch")
@dataclass(frozen=True, kw_only=True)
class Monarch(Linear):
    """Two block-diagonal matrices, between which every block meets every other (arXiv 2204.00595).

    The inner width is that of the shorter side, as in BlockShuffle (arXiv 2406.16450): a square
    matrix has 2 / blocks of the dense one's weights. The number of blocks is no width, so that both
    factors follow the shape as a dense matrix does.

    Attributes
    ----------
    blocks : int
        Of each factor.
    """

    name: str = "monarch"
    blocks: int = setting(4, Within(2))

    def tensors(self, rows: int, columns: int) -> dict[str, Size]:
        """See ``Linear.tensors``: blocks, their rows, their columns."""
        b, inner = self.blocks, min(rows, columns)
        return {
            "inner": (b, divided(inner, b), divided(columns, b)),
            "weight": (b, divided(rows, b), divided(inner, b)),
        }

    def check_matrix(self, name: str, rows: int, columns: int) -> None:
        """See ``Linear.check_matrix``."""
        if rows % self.blocks or columns % self.blocks:
            raise ConfigError(
                f"model.linear.blocks = {self.blocks} does not divide the matrix {name} of "
                f"{rows} x {columns}; allowed are divisors of both"
            )
        if min(rows, columns) < self.blocks**2:
            raise ConfigError(
                f"model.linear.blocks = {self.blocks} of the matrix {name} of {rows} x {columns}: "
                f"{min(rows, columns)} inner values are too few for each block to meet every "
                f"other; allowed are at most {int(min(rows, columns) ** 0.5)}"
            )

    def kept_floats(self, rows: int, columns: int) -> float:
        """See ``Linear.kept_floats``: before and after the shuffle."""
        return 2 * min(rows, columns)
