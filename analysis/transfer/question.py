"""The question to a judge: two arms, a target, and all other inputs of a verdict but the runs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from scalinglab.analysis.transfer.multiplier_line import LACK_OF_FIT, Uncertainty
from scalinglab.scaling.errors import UserError

MARGIN = 0.02
TUNINGS = ("check", "elsewhere")


@dataclass(frozen=True, kw_only=True)
class TransferQuestion:
    """Does a change still help at a target?

    Attributes
    ----------
    baseline, candidate : str
        The arms.
    at : float
        Training compute of the target, 6 N D (FLOPs).
    arm : str
        Column that distinguishes the arms.
    margin : float
        Relative compute that counts as a difference.
    level : float
        Probability that an interval holds at all looks together.
    tuning : {"check", "elsewhere"}
        Whether the runs show that both arms had as many trials, or that is taken on trust.
    text_noise : float
        Standard deviation of the log ratio of two losses that comes from the finite evaluation
        text.
    lack_of_fit : float
        Expected standard deviation of the log multiplier about its line.
    exclude : tuple of str
        Conditions: runs that meet one are left out.
    """

    baseline: str
    candidate: str
    at: float
    arm: str = "arm"
    margin: float = MARGIN
    level: float = 0.95
    tuning: str = "check"
    text_noise: float = 0.0
    lack_of_fit: float = LACK_OF_FIT
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.at < math.inf:
            raise UserError(f"at = {self.at}: the target's training compute in FLOPs is above 0")
        if self.tuning not in TUNINGS:
            raise UserError(f"tuning = {self.tuning!r} is not one of: {', '.join(TUNINGS)}")
        if self.baseline == self.candidate:
            raise UserError(f"baseline and candidate are both {self.baseline!r}: two are judged")

    @property
    def arms(self) -> tuple[str, str]:
        """Baseline and candidate."""
        return self.baseline, self.candidate

    @property
    def log_margin(self) -> float:
        """The margin of a log multiplier."""
        return math.log1p(self.margin)

    @property
    def known(self) -> Uncertainty:
        """The assumptions about the noise."""
        return Uncertainty(self.lack_of_fit, self.text_noise, self.level)

    def as_plain(self) -> dict[str, Any]:
        """The question as plain data, as it is sealed."""
        return asdict(self) | {"exclude": list(self.exclude)}
