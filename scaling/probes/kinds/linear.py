"""Linear probes of the residual stream."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, AT_LEAST_1, Within, setting
from scalinglab.scaling.probes.probe import PROBES, Probe, stream_floats, validation_windows
from scalinglab.scaling.records.spec import RunSpec

BEFORE, SEEN, PARITY = "before", "seen", "parity"


@PROBES.register("linear")
@dataclass(frozen=True, kw_only=True)
class Linear(Probe):
    """Accuracy of a linear classifier of the text on the frozen network, layer by layer.

    Ridge regression on the residual stream after each block, fitted to half of the windows and
    tested on the others (linear classifier probes: arXiv 1610.01644). Whether an earlier
    checkpoint has better features than the last is a question for ``steps=all`` (arXiv
    2203.04668).
    """

    memory_options: ClassVar[tuple[str, ...]] = ("windows",)

    # before: whether the token `lag` places ago is above the median one; seen:
    # whether the token stood in the window before; parity: whether its position is even.
    property: str = setting(BEFORE, (BEFORE, SEEN, PARITY))
    lag: int = setting(4, AT_LEAST_1, used_with=("property", (BEFORE,)))
    ridge: float = setting(1e-3, ABOVE_0)  # of the mean variance of a feature
    windows: int = setting(64, Within(2))  # of the validation set

    def check(self, run: RunSpec, outputs: Path) -> None:
        """Refuse a lag that no window has, and a validation set of one window."""
        if validation_windows(run, self.windows) < 2:
            raise ConfigError(
                f"probe=linear: the validation set of run {run.run_id} has one window "
                f"(data.validation_tokens = {run.data.validation_tokens}, model.context ="
                f" {run.shape.context}); one half of the windows is fitted, the other tested, so"
                " two are needed"
            )
        if self.property == BEFORE and self.lag >= run.shape.context:
            raise ConfigError(
                f"options.lag = {self.lag}: allowed is 1 to {run.shape.context - 1} (model.context"
                f" = {run.shape.context})"
            )

    def held_floats(self, run: RunSpec) -> float:
        """The streams of all blocks."""
        return stream_floats(run, self.windows)
