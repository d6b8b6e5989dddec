"""How model size and tokens grow together in the runs of two arms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.law import Array


@dataclass(frozen=True)
class Ladder:
    """How N and D grow together: straight lines in logarithms through the runs of both arms.

    Attributes
    ----------
    low, top : float
        Range of C = 6 N D that was measured in both arms; where there is none, `low` is above.
    share : float
        N grows as C^share, D as C^(1 - share).
    middle_n, middle_c : float
        A point on the line of N.
    """

    low: float
    top: float
    share: float
    middle_n: float
    middle_c: float

    @property
    def is_shared(self) -> bool:
        """Whether any compute is in the range of both arms."""
        return self.low <= self.top

    @classmethod
    def of(cls, runs: pd.DataFrame) -> Ladder:
        """The ladder of a table with ``N, D`` and ``_arm``."""
        cost = 6 * runs["N"] * runs["D"]
        arms = cost.groupby(runs["_arm"])
        log_c, log_n = np.log(cost.to_numpy(float)), np.log(runs["N"].to_numpy(float))
        share = float(np.polyfit(log_c, log_n, 1)[0]) if np.ptp(log_c) > 0 else 0.5
        return cls(
            float(arms.min().max()),
            float(arms.max().min()),
            min(max(share, 0.0), 1.0),
            float(np.exp(log_n.mean())),
            float(np.exp(log_c.mean())),
        )

    def at(self, cost: Array) -> tuple[Array, Array]:
        """N and D at each C = 6 N D, shapes as `cost`."""
        size = self.middle_n * (np.asarray(cost, float) / self.middle_c) ** self.share
        return size, cost / (6 * size)
