"""Averages of checkpoints, evaluated as a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.probes.probe import PROBES, Probe

UNIFORM, EMA = "uniform", "ema"


@PROBES.register("average")
@dataclass(frozen=True, kw_only=True)
class Average(Probe):
    """Validation loss of the mean of the weights of the last checkpoints up to a step.

    ``uniform``: equal weights (arXiv 1803.05407; for late checkpoints arXiv 2209.14981). ``ema``:
    each counts `decay` times the one after it, as an exponential moving average would (arXiv
    2411.18704).
    """

    kind: str = setting(UNIFORM, (UNIFORM, EMA))
    count: int = setting(3, Within(2))  # checkpoints, the last of which is at the step
    decay: float = setting(0.5, Within(0, 1, open=True), used_with=("kind", (EMA,)))

    def reads(self, step: int, kept: Sequence[int]) -> list[int]:
        """The last checkpoints that are kept."""
        if len(kept) < self.count:
            raise ConfigError(
                f"options.count = {self.count}: only {len(kept)} checkpoints are kept up to step "
                f"{step} ({', '.join(map(str, kept)) or 'none'}); study.checkpoints={{log: 8}} "
                "keeps more of runs that are still to be trained"
            )
        return list(kept[-self.count :])
