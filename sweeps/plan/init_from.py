"""Which run's weights a run begins with (``init_from``), and that they are there or will be.

Which weights are named decides a run's identity and is determined first. Whether they exist matters
only for a run that has yet to read them, so a study whose runs are finished is planned without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from scalinglab.scaling.config import InitFromConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.module import Network
from scalinglab.scaling.records.archive import check_archive
from scalinglab.scaling.records.initial_weights import InitialWeights, first_of
from scalinglab.scaling.records.parts import parts_of
from scalinglab.scaling.records.prefixes import no_checkpoint
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.records.state import State
from scalinglab.scaling.run.initial_weights import Sizes, WeightFiles, matched, sizes_of
from scalinglab.sweeps.plan.plan import PlannedRun
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import StoredRun, read_plan


class InitialWeightsFinder:
    """Finds what ``init_from`` names for one plan.

    Parameters
    ----------
    outputs : Path
    block_runs : callable
        From the name of a block of this plan to its runs that are resolved so far.
    """

    def __init__(
        self, outputs: Path, block_runs: Callable[[str], Sequence[StoredRun]] = lambda block: ()
    ) -> None:
        self.outputs, self._block_runs = outputs, block_runs
        self._files = WeightFiles(outputs)
        self._studies: dict[str, list[StoredRun]] = {}
        self._specs: dict[str, RunSpec] = {}
        self._sizes: dict[str, Sizes] = {}

    def of(self, config: InitFromConfig, network: Network, seed: int) -> InitialWeights:
        """The weights that a run with some network and seed begins with.

        Raises
        ------
        ConfigError
            If none are named, or several, or they do not fit.
        """
        _check_keys(config)
        if config.file is not None:
            return self._files.of(config, network)
        spec = (
            self._by_id(config.run)
            if config.run is not None
            else self._of_model(self._runs(config), config, network, seed)
        )
        if spec.is_command:
            raise ConfigError(
                f"init_from: run {spec.run_id} was trained by another program, which has its "
                "weights; save them as safetensors and name the file"
            )
        step = spec.steps if config.step is None else config.step
        if step > spec.steps:
            raise ConfigError(
                f"init_from.step = {step}: run {spec.run_id} has {spec.steps} steps; give one of "
                "them"
            )
        weights = InitialWeights.of_run(spec.run_id, spec.science, step)
        return matched(weights, config, self._sizes_of(spec), network)

    def _by_id(self, start: str) -> RunSpec:
        files = (self.outputs / "runs").glob(f"{start}*/run.json") if start.isalnum() else ()
        folders = sorted(file.parent for file in files)
        if len(folders) != 1:
            problem = (
                f"is the beginning of {len(folders)} runs" if folders else "is the id of no run"
            )
            raise ConfigError(f"init_from.run = {start!r} {problem} in {self.outputs / 'runs'}")
        return self._spec(RunFolder(folders[0]))

    def _runs(self, config: InitFromConfig) -> list[StoredRun]:
        """The chosen runs of the study and block that are named."""
        if config.study is None:
            assert config.block is not None
            runs = list(self._block_runs(config.block))
            missing = (
                f"init_from.block = {config.block!r}: no block of this study before this one is so"
            )
        else:
            if config.study not in self._studies:
                self._studies[config.study] = read_plan(self.outputs, config.study).runs
            runs = self._studies[config.study]
            if config.block is not None:
                runs = [run for run in runs if config.block in run.blocks]
            missing = (
                f"init_from.block = {config.block!r}: no block of study {config.study!r} is so"
            )
        if not runs:
            raise ConfigError(f"{missing} called, or it has no runs")
        return runs if config.runs is None else select(runs, config.runs, "init_from.runs")

    def _of_model(
        self, runs: Sequence[StoredRun], config: InitFromConfig, network: Network, seed: int
    ) -> RunSpec:
        """The one of `runs` that has the model of the run that begins with its weights."""
        specs = [self._spec_of(run) for run in runs]
        if len(specs) == 1:
            return specs[0]
        where = f"study {config.study!r}" if config.study else f"block {config.block!r}"
        sizes = sizes_of(network)
        fitting = [spec for spec in specs if self._sizes_of(spec) == sizes]
        if not fitting:
            raise ConfigError(
                f"init_from: none of the {len(specs)} runs of {where} that it chooses from has "
                f"parameters of the same names and sizes as a run here (width "
                f"{network.shape.width}, depth {network.shape.depth}, vocabulary "
                f"{network.shape.vocab:,}); choose one by init_from.runs"
            )
        for is_closer in (
            lambda spec: _same_but_context(spec.architecture, network),
            lambda spec: spec.architecture == network,
            lambda spec: spec.seed == seed,
        ):
            fitting = [spec for spec in fitting if is_closer(spec)] or fitting
        if len(fitting) > 1:
            ids = [spec.run_id for spec in fitting]
            raise ConfigError(
                f"init_from: {len(fitting)} runs of {where} have the model of a run here "
                f"({first_of(ids)}); they differ in {_differences(fitting)}: choose by "
                "init_from.runs"
            )
        return fitting[0]

    def _spec_of(self, run: StoredRun) -> RunSpec:
        if run.run_id not in self._specs:
            self._specs[run.run_id] = run.spec()
        return self._specs[run.run_id]

    def _spec(self, folder: RunFolder) -> RunSpec:
        if folder.run_id not in self._specs:
            self._specs[folder.run_id] = folder.spec()
        return self._specs[folder.run_id]

    def _sizes_of(self, spec: RunSpec) -> Sizes:
        if spec.run_id not in self._sizes:
            self._sizes[spec.run_id] = sizes_of(spec.architecture)
        return self._sizes[spec.run_id]


def _check_keys(config: InitFromConfig) -> None:
    """One source is named, with the keys that it uses."""
    sources = {
        "run": config.run,
        "study or block": config.study or config.block,
        "file": config.file,
    }
    named = [key for key, value in sources.items() if value is not None]
    if len(named) != 1:
        problem = f"names {' and '.join(named)}" if named else "names no weights"
        raise ConfigError(f"init_from {problem}; give one of run, study or block, and file")
    if config.runs is not None and named != ["study or block"]:
        raise ConfigError(
            f"init_from.runs = {config.runs!r} chooses among the runs of a study or block; "
            f"init_from.{named[0]} is one"
        )
    if config.step is not None and config.file is not None:
        raise ConfigError(f"init_from.step = {config.step} is of a run; a file has one step")


def _same_but_context(first: Network, second: Network) -> bool:
    sciences = [dict(network.science()) for network in (first, second)]
    for science in sciences:
        science.pop("context", None)
    return sciences[0] == sciences[1]


def _differences(specs: Sequence[RunSpec]) -> str:
    settings = [spec.settings() for spec in specs]
    keys = dict.fromkeys(key for run_settings in settings for key in run_settings)
    differing = [
        key for key in keys if len({repr(run_settings.get(key)) for run_settings in settings}) > 1
    ]
    return first_of(differing, 4) or "nothing that a run says"


def with_sources(runs: list[PlannedRun], outputs: Path) -> list[PlannedRun]:
    """The runs of a plan; a run waits if another one has yet to leave its initial weights.

    Raises
    ------
    ConfigError, DamagedFile
        If weights that a run has yet to read do not exist and no run will leave them.
    """
    by_id = {p.run.run_id: p for p in runs}
    pins: dict[str, set[int]] = {p.run.run_id: set(p.pins) for p in runs}
    checked: set[str] = set()
    waiting: dict[str, tuple[str, int]] = {}
    for planned in runs:
        initial = planned.run.initial
        if initial is None or not planned.is_unfinished or planned.start or planned.needs:
            continue
        source = by_id.get(initial.run or "")
        if source is not None and source.is_unfinished and initial.place(outputs) is None:
            assert initial.run is not None and initial.step is not None
            waiting[planned.run.run_id] = (initial.run, initial.step)
            pins[initial.run].add(initial.step)
        elif initial.content not in checked:
            check_exists(initial, outputs)
            checked.add(initial.content)
    pinned = [
        replace(p, pins=tuple(sorted(pins[p.run.run_id])), needs=waiting.get(p.run.run_id, p.needs))
        for p in runs
    ]
    return sorted(pinned, key=lambda p: _sources_before(p, by_id))  # stable: longest first


def _sources_before(planned: PlannedRun, by_id: dict[str, PlannedRun]) -> int:
    """Length of the chain of runs that must be trained before a run has its initial weights."""
    count = 0
    while planned.run.initial is not None and planned.run.initial.run in by_id:
        planned, count = by_id[planned.run.initial.run], count + 1
    return count


def check_exists(initial: InitialWeights, outputs: Path) -> None:
    """Refuse initial weights that do not exist, or are damaged.

    Raises
    ------
    ConfigError, DamagedFile
        Saying why, and the way out.
    """
    place = initial.place(outputs)
    if not initial.is_checkpoint:
        return  # a file, which was copied when its name was read
    assert initial.run is not None and initial.step is not None
    folder = RunFolder(outputs / "runs" / initial.run)
    state = folder.state()
    if place is None and state == State.DIVERGED:
        raise ConfigError(
            f"init_from: run {initial.run} diverged and left no weights at step {initial.step}; "
            "choose another run, or a step before (init_from.step)"
        )
    if place is None and state != State.DONE:
        raise ConfigError(
            f"init_from: run {initial.run} is {state}; a run can begin with its weights once it is "
            "done"
        )
    if place is None:
        reason = no_checkpoint(outputs, initial.run, folder.spec().science, initial.step)
        raise ConfigError(
            f"init_from: {reason}; scaling gc keep=weights would have kept those of its end"
        )
    for file in parts_of(place) or [place]:
        check_archive(file)
