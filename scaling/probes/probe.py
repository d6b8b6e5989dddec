"""The description that every probe gives: its options, and the checkpoints that it reads.

A probe reads one or several checkpoints and gives named numbers. To add one, write a file in
``scalinglab.scaling.probes.kinds`` with a class of its options, and one of the same name in
``scalinglab.scaling.engine.probes.kinds`` with its arithmetic; both register by name.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extensions.loading import extension_of
from scalinglab.scaling.fields import historic_values
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.registry import Registry, subclass_of

if TYPE_CHECKING:
    from scalinglab.scaling.probes.folder import Place
    from scalinglab.scaling.records.spec import RunSpec

COLUMN = "probe."  # how the columns of probes begin
TASK = "task."  # and those of tasks, which are of one set of items whatever a run was trained on
_NO_NAME = re.compile(r"[^\w-]+")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """The options of a probe.

    Attributes
    ----------
    memory_options : tuple of str
        Options on which `held_floats` depends.
    version : int
        Raise it when a probe gives other numbers than before: old results are then measured anew.
    of_start : bool
        Whether it reads initial weights only; its numbers are columns of the run all the same.
    of_seeds : bool
        Whether it reads the runs together that differ in their seeds alone.
    of_whole_run : bool
        Whether its numbers depend on more of a run than its training up to the step, as on its
        length; else runs that share a checkpoint share its numbers.
    """

    memory_options: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1
    of_start: ClassVar[bool] = False
    of_seeds: ClassVar[bool] = False
    of_whole_run: ClassVar[bool] = False

    def check(self, run: RunSpec, outputs: Path) -> None:
        """Refuse a run that cannot be read with these options.

        Raises
        ------
        ConfigError
            Naming the option, its value and what is allowed.
        """

    def reads(self, step: int, kept: Sequence[int]) -> list[int]:
        """The steps that are read for the numbers at one.

        Parameters
        ----------
        step : int
            Where the numbers belong.
        kept : sequence of int
            Steps of the run that have a checkpoint, ascending.

        Raises
        ------
        ConfigError
            If too few are kept.
        """
        return [step]

    def beside(self, outputs: Path) -> Sequence[Place]:
        """Checkpoints of other runs that are read after the run's own: run and step of each."""
        return ()

    def held_floats(self, run: RunSpec) -> float:
        """Numbers in float64 that it holds at once in the memory of the host, at the most.

        Beside those of the network: 0 where these are few.
        """
        return 0

    def state(self, outputs: Path) -> Any:
        """The content that the options only name, such as that of files; None if there is none."""
        return None

    def prepared(self, outputs: Path) -> Self:
        """The probe as it is stored: one that names files keeps copies of them."""
        return self

    def words(self) -> str:
        """The options that are not at their defaults, as a part of column names."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        usual = {f.name: _default(f) for f in dataclasses.fields(self)}
        return ".".join(
            name if value is True else f"{name}_{_word(value)}"
            for name, value in values.items()
            if value != usual[name]
        )

    def column(self, name: str, number: str) -> str:
        """The column of one of its numbers, in tables of runs and of curves."""
        return ".".join(filter(None, (f"{COLUMN}{name}", self.words(), number)))


def validation_windows(run: RunSpec, most: int) -> int:
    """Windows of a run's validation set, of all pools together; no more than `most`."""
    each = run.data.validation_tokens // run.shape.context
    return min(most, each * max(1, len(run.data.pools)))


def stream_floats(run: RunSpec, windows: int) -> float:
    """Numbers of the residual stream after each block on so many validation windows."""
    passes = getattr(run.architecture, "passes", run.shape.depth)
    tokens = validation_windows(run, windows) * run.shape.context
    return float(passes * tokens * run.shape.width)


PROBES: Registry[type[Probe]] = Registry("probe", f"{__package__}.kinds")
PROBES.wants(subclass_of(Probe))


def probe_of(name: str, options: dict[str, Any]) -> Probe:
    """A probe by its name, with its options checked.

    Raises
    ------
    ConfigError
        If there is no such probe or option, or a value is not allowed.
    """
    found: Probe = from_dict(PROBES.find(name), options, "options")
    return found


def check_memory(name: str, probe: Probe, run: RunSpec) -> None:
    """Refuse a probe that holds more at once than this machine has memory.

    Raises
    ------
    ConfigError
        Naming the options that decide it.
    """
    needed, memory = 8 * probe.held_floats(run), machine.memory_bytes()
    if needed > memory:
        options = ", ".join(
            f"options.{key} = {getattr(probe, key)}" for key in probe.memory_options
        )
        raise ConfigError(
            f"probe = {name!r}, {options}: for run {run.run_id} ({run.counts['n_total']:,} "
            f"parameters) it holds about {needed / 1e9:.3g} GB; the machine has "
            f"{memory / 1e9:.3g} GB: ask for less"
        )


def key_of(name: str, probe: Probe, outputs: Path) -> str:
    """A hash of all that decides the numbers of a probe: name, options, version, content of files.

    An option that joined later is left out at the value that older results had without saying so.
    """
    historic = historic_values(type(probe))
    options = {k: v for k, v in asdict(probe).items() if k not in historic or v != historic[k]}
    said: dict[str, Any] = {"probe": name, "options": options}
    if probe.version != 1:
        said["version"] = probe.version
    if (state := probe.state(outputs)) is not None:
        said["state"] = state
    own = extension_of(PROBES.module_of(name))
    if own is not None:
        said["text"] = own.text  # a file that was edited gives other numbers
    elif not PROBES.is_shipped(name):
        raise ConfigError(
            f"probe = {name!r} is registered by {PROBES.module_of(name)!r}, which workers do not"
            " import: put it into a file, and name that in extend=[FILE.py]"
        )
    return digest(said, 8)


def _word(value: Any) -> str:
    """A value as a part of a name: 'tasks/sum.jsonl' is sum."""
    if isinstance(value, list | tuple):
        return "_".join(map(_word, value))
    text = str(value)
    if text.endswith(".jsonl"):
        text = Path(text).stem
    return _NO_NAME.sub("_", text).strip("_")


def _default(f: dataclasses.Field[Any]) -> Any:
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return f.default
