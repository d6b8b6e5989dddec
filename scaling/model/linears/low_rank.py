"""A matrix that is the product of two narrower ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.model.part import LINEARS, Linear, Size


@LINEARS.register("low_rank")
@dataclass(frozen=True, kw_only=True)
class LowRank(Linear):
    """The product of two matrices of a rank (arXiv 2407.09835).

    Attributes
    ----------
    rank : float
        Over the matrix's shorter side.
    """

    name: str = "low_rank"
    rank: float = setting(0.5, Within(0, 1, above=True))

    def tensors(self, rows: int, columns: int) -> dict[str, Size]:
        """See ``Linear.tensors``."""
        rank = self.inner(rows, columns)
        return {"inner": (rank, columns), "weight": (rows, rank)}

    def check_matrix(self, name: str, rows: int, columns: int) -> None:
        """See ``Linear.check_matrix``."""
        share = self.rank * min(rows, columns)
        if abs(share - round(share)) > 1e-6:
            raise ConfigError(
                f"model.linear.rank = {self.rank:g} of the matrix {name} of {rows} x {columns} is "
                f"{share:g}; allowed are shares of {min(rows, columns)} that are whole"
            )

    def inner(self, rows: int, columns: int) -> int:
        """The rank; a fraction at the base of a parametrization, whose sizes are ratios."""
        share: Any = self.rank * min(rows, columns)
        return round(share) if abs(share - round(share)) < 1e-6 else share

    def kept_floats(self, rows: int, columns: int) -> float:
        """See ``Linear.kept_floats``."""
        return self.inner(rows, columns)
