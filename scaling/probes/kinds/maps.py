"""How well one layer's stream is a linear map of another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import ABOVE_0, Within, setting
from scalinglab.scaling.probes.probe import PROBES, Probe, stream_floats, validation_windows
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import State

if TYPE_CHECKING:
    from scalinglab.scaling.probes.folder import Place

END, LATER = "end", "later"


@PROBES.register("maps")
@dataclass(frozen=True, kw_only=True)
class Maps(Probe):
    """Linear maps from the residual stream after each block to that after a later one.

    ``to=end``: to the last block of the same network, with the loss of the head on the mapped
    streams: the loss by depth. The map is affine, a ridge regression on half of the windows (least
    squares: arXiv 2303.09435; the tuned lens of arXiv 2303.08112 minimises the divergence of the
    predictions instead), tested on the others. ``to=later``: to every later block. ``to=RUN``: to
    every block of another finished run on the same data, as from a shallow model to a deep one
    (arXiv 2505.13898, section 3.4).
    """

    memory_options: ClassVar[tuple[str, ...]] = ("windows",)

    to: str = END  # end, later, or a run by its id
    ridge: float = setting(1e-3, ABOVE_0)  # of the mean variance of a feature
    windows: int = setting(64, Within(2))  # of the validation set

    def check(self, run: RunSpec, outputs: Path) -> None:
        """Refuse too few windows, and a run of other data.

        Raises
        ------
        ConfigError
            Naming the option, its value and what is allowed.
        """
        fitted = self._fitted_tokens(run)
        if fitted <= run.shape.width:
            raise ConfigError(
                f"options.windows = {self.windows}: the half of them that is fitted has {fitted} "
                f"tokens of run {run.run_id}, and a map from its width {run.shape.width} needs "
                f"more; its validation set has {validation_windows(run, 10**9)} windows "
                "(data.validation_tokens)"
            )
        if self.to in (END, LATER):
            return
        target = self._target(outputs).spec()
        for key, there, here in (
            ("data", target.data.validation_content, run.data.validation_content),
            ("model.context", target.shape.context, run.shape.context),
        ):
            if there != here:
                raise ConfigError(
                    f"options.to = {self.to!r}: run {target.run_id} differs from run {run.run_id} "
                    f"in {key}; maps between two runs are fitted on equal windows"
                )

    def beside(self, outputs: Path) -> Sequence[Place]:
        """The last checkpoint of the other run."""
        if self.to in (END, LATER):
            return ()
        spec = self._target(outputs).spec()
        return ((spec.run_id, spec.steps),)

    def prepared(self, outputs: Path) -> Self:
        """With the whole id of the other run."""
        if self.to in (END, LATER):
            return self
        return replace(self, to=self._target(outputs).run_id)

    def held_floats(self, run: RunSpec) -> float:
        """The streams of all blocks, in float64; of another run as many are assumed."""
        return (1 + (self.to not in (END, LATER))) * stream_floats(run, self.windows)

    def _fitted_tokens(self, run: RunSpec) -> int:
        return validation_windows(run, self.windows) // 2 * run.shape.context

    def _target(self, outputs: Path) -> RunFolder:
        files = (outputs / "runs").glob(f"{self.to}*/run.json") if self.to.isalnum() else ()
        folders = [RunFolder(file.parent) for file in sorted(files)]
        if len(folders) != 1:
            problem = f"is the beginning of {len(folders)} runs" if folders else "is no run's id"
            raise ConfigError(
                f"options.to = {self.to!r} {problem} in {outputs / 'runs'}; allowed are {END}, "
                f"{LATER} and the id of a finished run"
            )
        if (state := folders[0].state()) != State.DONE or folders[0].spec().is_command:
            why = "was trained by another program" if state == State.DONE else f"is {state}"
            raise ConfigError(
                f"options.to = {self.to!r}: run {folders[0].run_id} {why}; allowed is a finished "
                "run that was trained here"
            )
        return folders[0]
