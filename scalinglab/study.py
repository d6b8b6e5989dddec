"""A study as an object: plan, launch, watch and decide, from a notebook or a verb.

>>> from scalinglab import Study                                                  # doctest: +SKIP
>>> study = Study.open("quickstart", outputs="outputs")
>>> study.plan(); study.launch(); study.results()

A verb that plans, trains, watches, fits or decides reads its options, does what the method of the
same name does, and shows the result. Verbs that look after a machine (gc, doctor, data, sync) have
no method. Progress is printed on a `Screen`, and nothing else is printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scalinglab.answers.keywords import keywords
from scalinglab.answers.methods import StudyAnswers
from scalinglab.detach import detach
from scalinglab.launch_result import DetachedLaunch, LaunchResult, end_of_launch
from scalinglab.launched_study import LaunchedStudy
from scalinglab.plan_view import PlanView
from scalinglab.prepare import (
    Prepared,
    check_affordable,
    compose_configuration,
    launch_config,
    prepare,
)
from scalinglab.probe_results import Probed, Withdrawn
from scalinglab.probing import ProbeOptions, probe, withdraw_questions
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.text.shell import argument
from scalinglab.sweeps.launch.announced import announced
from scalinglab.sweeps.launch.launch import check_backend, launch
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.study.added import add_block, read_added, with_added
from scalinglab.sweeps.study.expand import BlockConfig
from scalinglab.sweeps.study.study import check_study, is_search
from scalinglab.terminal import Screen
from scalinglab.training_rounds import ReachAnswer, ReachOptions, reach
from scalinglab.watch import Watch


@dataclass(frozen=True)
class Study(LaunchedStudy, StudyAnswers):
    """A study by its name, with overrides that hold in all its methods.

    Attributes
    ----------
    name, outputs, screen
        See `LaunchedStudy`.
    overrides : tuple of str
        Hydra's overrides, as on the command line, without ``study=``.
    file : str
        The name of the study's file, shipped or of the person's own groups.
    config : Path or None
        A further folder with groups of one's own, besides ``scaling_conf/`` in the current folder.
    """

    overrides: tuple[str, ...]
    file: str
    config: Path | None = None
    _composed: dict[str, Any] | None = field(default=None, repr=False, compare=False)

    @staticmethod
    def open(
        name: str,
        *overrides: str,
        outputs: str | Path = "outputs",
        config: str | Path | None = None,
        screen: Screen | None = None,
    ) -> Study:
        """A study by the name of its file; nothing is read or written yet.

        >>> Study.open("quickstart", "tokens=1e6").overrides
        ('tokens=1e6',)
        """
        folder = None if config is None else Path(config).absolute()
        return Study(name, Path(outputs).absolute(), overrides, name, folder, screen=screen)

    @staticmethod
    def of(arguments: Sequence[str], screen: Screen | None = None) -> Study:
        """The study of a command line: ``["study=quickstart", "outputs=runs", "tokens=1e6"]``.

        Raises
        ------
        ConfigError
            If they name no study, or cannot be composed.
        """
        composed = compose_configuration(arguments)
        name = check_study(composed).name
        file = [a.partition("=")[2] for a in arguments if a.startswith("study=")]
        overrides = tuple(a for a in arguments if not a.startswith(("study=", "outputs=")))
        return Study(
            name,
            Path(composed["outputs"]).absolute(),
            overrides,
            file[-1] if file else name,
            screen=screen,
            _composed=composed,
        )

    @staticmethod
    def of_file(
        file: str, outputs: str | Path, overrides: Sequence[str], screen: Screen | None = None
    ) -> Study:
        """The study of a file, under the name that the file or an override gives it.

        Raises
        ------
        ConfigError
            As `of`.
        """
        return Study.of([f"study={file}", argument("outputs", outputs), *overrides], screen)

    # ------------------------------------------------------------------ planning and training

    def plan(self, *overrides: str) -> PlanView:
        """Plan the study: the runs to train and their cost; trains nothing.

        Raises
        ------
        ConfigError
            On any mistake in the study, in one sentence.
        """
        composed = self.compose(*overrides)
        return PlanView(prepare(composed, self._all(overrides), self._screen.say))

    def launch(
        self, *overrides: str, on_plan: Callable[[PlanView], None] = lambda plan: None
    ) -> LaunchResult | DetachedLaunch:
        """Train all unfinished runs; a search goes on in rounds. An interrupt saves all runs.

        ``launch("launch=inline")`` trains in this process, ``launch("launch.workers=2")`` on a
        pool of two, ``launch("launch=slurm")`` on a cluster. After an interrupt launch again:
        finished runs are not retrained.

        Parameters
        ----------
        on_plan : callable
            Called with each plan before it is trained.

        Raises
        ------
        ConfigError
            On any mistake; nothing has been trained by then.
        """
        composed = self.compose(*overrides)
        check_backend(launch_config(composed))
        with announced(composed):
            while True:
                prepared = prepare(composed, self._all(overrides), self._screen.say, to_launch=True)
                on_plan(PlanView(prepared))
                check_affordable(prepared)
                save_plan(prepared.plan)
                if prepared.config.detach:
                    return self._detach(overrides, prepared)
                if not self._train(prepared):
                    self._screen.say(_interrupted(prepared.config.backend, self.name))
                    return end_of_launch(self.outputs, self.name, prepared.config, interrupted=True)
                if not _asks_for_more(prepared):
                    return end_of_launch(self.outputs, self.name, prepared.config)
                self._screen.say("the search goes on with what these runs found")

    def add(
        self, block: str, grid: Mapping[str, Any], *overrides: str, role: str = "fit"
    ) -> PlanView:
        """Add a block of runs to the study for good; the next launch trains them.

        Parameters
        ----------
        block : str
            A name that the study does not have yet.
        grid : mapping
            Its axes: ``{"model": {"width": [96]}}``.
        overrides : str
            Those with which the study was launched, for the plan that is made first.
        role : str
            What the runs are for.

        Returns
        -------
        PlanView
            The study with the new runs.

        Raises
        ------
        ConfigError
            If the study has such a block, or the runs cannot be trained; nothing is added then.
        """
        if not grid:
            raise ConfigError("grid is not set; give axes, as in 'grid.model.width=[96]'")
        composed = with_added(self.compose(*overrides))
        check_study(composed)
        blocks = composed["study"]["blocks"]
        if block in blocks:
            raise ConfigError(f"study.blocks.{block} exists; choose another name")
        added = BlockConfig(role, dict(grid))
        blocks[block] = asdict(added)
        view = PlanView(prepare(composed, self._all(overrides), self._screen.say))
        add_block(self.outputs, self.name, block, added)
        return view

    def added(self) -> dict[str, Any]:
        """The blocks that were added to the study after its file was written."""
        return read_added(self.outputs, self.name)

    def add_blocks(self, blocks: Mapping[str, Any]) -> None:
        """Add blocks without planning them first, as `add` does: they must be trainable."""
        for name, block in blocks.items():
            add_block(self.outputs, self.name, name, BlockConfig(block["role"], block["grid"]))

    @keywords(ReachOptions)
    def reach(self, options: ReachOptions) -> ReachAnswer:
        """Choose runs, add and train them, and fit again, until a target is known."""
        return reach(self, options, self._screen)

    @keywords(ProbeOptions)
    def probe(self, options: ProbeOptions) -> Probed | Withdrawn:
        """Measure checkpoints of the study's finished runs; a stored number is not measured again.

        ``study.probe(probe="validation", options={"store": "text-ab12cd34"})``. The study's
        overrides say where: ``Study.open("mine", "launch.workers=2")``. ``withdraw=True`` withdraws
        questions that still lack numbers.

        Raises
        ------
        ConfigError
            On any mistake; nothing has been read by then.
        """
        if options.withdraw:
            return withdraw_questions(self.name, self.outputs, options)
        return probe(self.compose(), self.name, self.outputs, options, self._screen)

    # ------------------------------------------------------------------ configuration

    def compose(self, *overrides: str) -> dict[str, Any]:
        """The whole configuration, with further overrides.

        Raises
        ------
        ConfigError
            On any mistake in them, or if the file defines a study of another name.
        """
        if self._composed is not None and not overrides:
            return self._composed
        composed = compose_configuration(
            [f"study={self.file}", *self._all(overrides)], self.outputs, self.config
        )
        name = check_study(composed).name
        if name != self.name:
            raise ConfigError(
                f"study.name = {name!r}: a study that is opened by name has "
                f"the name of its file, {self.name!r}"
            )
        return composed

    def _all(self, overrides: Sequence[str]) -> list[str]:
        return [*self.overrides, *overrides]

    @property
    def _screen(self) -> Screen:
        return self.screen or Screen()

    def _train(self, prepared: Prepared) -> bool:
        """Train a stored plan; False if it was interrupted."""
        if not any(p.is_unfinished for p in prepared.plan.runs):
            return True
        with Watch(self._screen, self.outputs, self.name) as watch:
            finished = launch(self.outputs, self.name, prepared.config, watch.tick)
            watch.tick(at_once=True)
        return finished

    def _detach(self, overrides: Sequence[str], prepared: Prepared) -> DetachedLaunch:
        options = [a for a in self._all(overrides) if not a.startswith("launch.detach=")]
        if self.config is not None:
            options.append(f"config={self.config}")
        if any(p.is_unfinished and math.isnan(p.seconds) for p in prepared.plan.runs):
            options.append("launch.measure=off")  # this process has waited for the timing already
        command = [f"study={self.file}", argument("outputs", self.outputs), *options]
        return DetachedLaunch(self.name, detach(command, self.outputs, self.name))


def _asks_for_more(prepared: Prepared) -> bool:
    """Whether a search of the study asks for runs that the plan before did not hold."""
    plan = prepared.plan
    if not is_search(plan.study):
        return False
    before = {p.run.run_id for p in plan.runs}
    return any(p.run.run_id not in before for p in make_plan(prepared.composed).runs)


def _interrupted(backend: str, name: str) -> str:
    if backend == "slurm":
        return (
            f"left; the jobs go on. scaling status study={name} shows them, launch again to "
            f"watch them, scaling cancel study={name} stops them"
        )
    return "interrupted; all runs are saved, launch again to go on"
