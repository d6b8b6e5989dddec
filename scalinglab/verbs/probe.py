"""``scaling probe``: measure the checkpoints of a study."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.options import Options, overrides
from scalinglab.probe_results import Probed, Withdrawn
from scalinglab.probing import ProbeOptions
from scalinglab.study import Study
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class ProbeVerbOptions(Options, ProbeOptions):
    """Options of ``scaling probe``."""

    overrides: list[str] = overrides("the study, and where it is done: study=NAME launch=slurm")


def run(options: ProbeVerbOptions, screen: Screen) -> Probed | Withdrawn:
    """Read checkpoints of a study's finished runs: scaling probe study=NAME probe=validation.

    The place is chosen as for a launch: launch.workers=2, launch=slurm, execution.device=cuda.
    Ctrl-C keeps all numbers; the same command goes on, and measures nothing twice. The numbers
    are columns of the study's tables, by the names that are shown: scaling fit study=NAME
    columns.loss=probe.average.loss fits one of them.

    steps=all reads every step that has a checkpoint; study.checkpoints={log: 8} keeps more of them
    when a study is trained.

    withdraw=true probe=NAME [options.KEY=...] withdraws questions that still lack numbers, such as
    those of a probe that fails.
    """
    study = Study.of(options.overrides, screen)
    keys = ProbeOptions.__dataclass_fields__
    return study.probe(**{key: getattr(options, key) for key in keys})


VERB = Verb(
    "read checkpoints of a study: losses on other data, averages, what happens inside",
    "scaling probe study=NAME probe=validation [options.KEY=...] [steps=all] [launch=slurm]",
    run,
    ProbeVerbOptions,
)
