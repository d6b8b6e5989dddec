"""The stream and the branch, added."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.model.part import RESIDUALS, Residual


@RESIDUALS.register("add")
@dataclass(frozen=True, kw_only=True)
class Add(Residual):
    """The plain sum, each times its multiplier where the placement or parametrization has one."""

    name: str = "add"
