"""What a judge is asked: two arms, a target, and all else that the verdict depends on but the runs."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scalinglab.analysis.transfer.multiplier_line import LACK_OF_FIT, Uncertainty
from scalinglab.scaling.errors import UserError

MARGIN = 0.02
TUNINGS = ("check", "elsewhere")
_NUMBER = r"([0-9.eE+-]+)"
_TARGET = re.compile(rf"(?:C\s*=\s*)?{_NUMBER}|N\s*=\s*{_NUMBER}[,\s]+D\s*=\s*{_NUMBER}")


@dataclass(frozen=True, kw_only=True)
class TransferQuestion:
    """Does a change still help at a target?

    Attributes
    ----------
    baseline, candidate : str
        The arms.
    at : float or str
        Training compute of the target in FLOPs, or "N=1e9 D=2e10" (6 N D).
    arm : str
        Column that tells the arms apart.
    margin : float
        Relative compute that counts as a difference.
    level : float
        Probability that an interval holds at all looks together.
    tuning : {"check", "elsewhere"}
        Whether the runs show that both arms had as many trials, or that is taken on trust.
    text_noise : float
        Standard deviation of the log ratio of two losses that comes from the finite evaluation text.
    lack_of_fit : float
        Expected standard deviation of the log multiplier about its line.
    exclude : tuple of str
        Conditions: runs that meet one are left out.
    """

    baseline: str
    candidate: str
    at: float | str
    arm: str = "arm"
    margin: float = MARGIN
    level: float = 0.95
    tuning: str = "check"
    text_noise: float = 0.0
    lack_of_fit: float = LACK_OF_FIT
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", read_compute(self.at))
        if self.tuning not in TUNINGS:
            raise UserError(f"tuning = {self.tuning!r} is not one of: {', '.join(TUNINGS)}")
        if self.baseline == self.candidate:
            raise UserError(f"baseline and candidate are both {self.baseline!r}: two are judged")

    @property
    def arms(self) -> tuple[str, str]:
        """Baseline and candidate."""
        return self.baseline, self.candidate

    @property
    def target(self) -> float:
        """Training compute of the target (FLOPs)."""
        return float(self.at)

    @property
    def log_margin(self) -> float:
        """The margin of a log multiplier."""
        return float(np.log1p(self.margin))

    @property
    def known(self) -> Uncertainty:
        """What is taken as known of the noise."""
        return Uncertainty(self.lack_of_fit, self.text_noise, self.level)

    def as_plain(self) -> dict[str, Any]:
        """The question as plain data, as it is sealed."""
        return asdict(self) | {"exclude": list(self.exclude)}


def read_compute(text: str | float) -> float:
    """A compute in FLOPs: 1e21, "C=1e21" or "N=1e9 D=2e10" (6 N D).

    Raises
    ------
    UserError
        If it is none of these.
    """
    found = _TARGET.fullmatch(str(text).strip())
    try:
        numbers = [float(part) for part in found.groups() if part] if found else []
    except ValueError:
        numbers = []
    C = 6 * numbers[0] * numbers[1] if len(numbers) == 2 else numbers[0] if numbers else np.nan
    if not 0 < C < np.inf or min(numbers) <= 0:
        raise UserError(
            f"at = {text!r}: give the training compute of the target in FLOPs, as in at=1e21, or"
            " at='N=1e9 D=2e10'"
        )
    return C
