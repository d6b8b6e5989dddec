"""A bounded function of each number in place of a norm: nothing is averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.fields import ABOVE_0, setting
from scalinglab.scaling.model.part import NORMS, Norm, Size, Start


@NORMS.register("dyt")
@dataclass(frozen=True, kw_only=True)
class DyT(Norm):
    """gain * tanh(alpha x) + bias, alpha learned (DyT, arXiv 2503.10622; Derf, arXiv 2512.10938).

    Attributes
    ----------
    function : str
        ``tanh``, or ``erf`` of alpha x and a learned shift (Derf).
    start : float
        Of alpha.
    """

    kept_floats: ClassVar[float] = 2.0

    name: str = "dyt"
    function: str = setting("tanh", ("tanh", "erf"))
    start: float = setting(0.5, ABOVE_0)

    def tensors(self, width: int) -> dict[str, Size]:
        """See ``Norm.tensors``."""
        shift: dict[str, Size] = {"shift_bias": (1,)} if self.function == "erf" else {}
        return {"alpha_gain": Start((1,), self.start), **shift, "gain": (width,), "bias": (width,)}
