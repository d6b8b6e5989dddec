"""Zero-cost proxies of the loss, from initial weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from scalinglab.scaling.probes.probe import PROBES, Probe


@PROBES.register("proxies")
@dataclass(frozen=True, kw_only=True)
class Proxies(Probe):
    """Zero-cost proxies of the initial network on its first batch, to predict the order of losses.

    Gradient norm, SNIP, Fisher and log synflow (arXiv 2101.08134), NASWOT (the log determinant of
    how alike the activation patterns of two sequences are, arXiv 2006.04647). The verdict
    ``proxies`` gives Kendall's tau of each with the trained loss.
    """

    of_start: ClassVar[bool] = True
