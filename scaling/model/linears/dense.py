"""Every output of every input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.part import LINEARS, Linear, Size


@LINEARS.register("dense")
@dataclass(frozen=True, kw_only=True)
class Dense(Linear):
    """One whole matrix."""

    inits: ClassVar[tuple[str, ...] | None] = None
    plain: ClassVar[bool] = True

    name: str = "dense"

    def tensors(self, rows: int, columns: int) -> dict[str, Size]:
        """See ``Linear.tensors``."""
        return {"weight": (rows, columns)}

    def check(self, architecture: Architecture) -> None:
        """See ``Part.check``."""
        if self.within != "blocks":
            raise ConfigError(
                f"model.linear.within = {self.within!r} with model.linear.name = 'dense' changes "
                "nothing: all other matrices are dense; allowed is 'blocks'"
            )
