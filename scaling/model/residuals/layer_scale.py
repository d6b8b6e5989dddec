"""The stream and the branch times a gain that is learned."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.scaling.fields import AT_LEAST_0, setting
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.part import RESIDUALS, Residual, Size, Start


@RESIDUALS.register("layer_scale")
@dataclass(frozen=True, kw_only=True)
class LayerScale(Residual):
    """A gain of each channel (arXiv 2103.17239), or of the whole branch (ReZero, arXiv 2003.04887).

    Attributes
    ----------
    start : float
        Of the gains. ReZero starts at 0.
    of : str
        ``channel``: each has its own; ``branch``: one.
    """

    name: str = "layer_scale"
    start: float = setting(0.1, AT_LEAST_0)
    of: str = setting("channel", ("channel", "branch"))

    def tensors(self, architecture: Architecture) -> dict[str, Size]:
        """See ``Residual.tensors``."""
        channels = architecture.shape.width if self.of == "channel" else 1
        return {"gain": Start((channels,), self.start)}

    def kept_floats(self, architecture: Architecture) -> float:
        """See ``Residual.kept_floats``."""
        return 2 * architecture.shape.width
