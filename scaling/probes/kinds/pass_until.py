"""Pass rates by sampling until enough samples pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_0, Within, setting
from scalinglab.scaling.probes.probe import PROBES
from scalinglab.scaling.probes.task_probe import TaskProbe
from scalinglab.scaling.records.spec import RunSpec


@PROBES.register("pass_until")
@dataclass(frozen=True, kw_only=True)
class PassUntil(TaskProbe):
    """Pass rate by sampling each item until `successes` pass, or to the cap (arXiv 2310.03262).

    After n samples the estimate (r - 1) / (n - 1) has no bias. A capped item is censored, never
    zero: its rate is at most (r - 1) / (cap - 1), and so is then a mean with it.
    """

    successes: int = setting(10, Within(2))  # r
    cap: int = setting(100_000, Within(2))  # samples of an item
    temperature: float = setting(1.0, ABOVE_0)
    seed: int = setting(0, AT_LEAST_0)

    def check(self, run: RunSpec, outputs: Path) -> None:
        """Refuse choices, which are not sampled, and a cap that leaves no room."""
        if self.cap <= self.successes:
            raise ConfigError(
                f"options.cap = {self.cap}: allowed is more than options.successes = "
                f"{self.successes}"
            )
        super().check(run, outputs)
        if self.read(outputs)[0].gold is not None:
            raise ConfigError(
                f"options.file = {self.file!r} has choices; sampling wants prompts with answers"
            )
