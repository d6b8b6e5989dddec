"""``scaling probe``: ask the checkpoints of a study for numbers."""

from __future__ import annotations

from dataclasses import dataclass

from scalinglab.options import Options, overrides
from scalinglab.probing import Probed, ProbeOptions, Withdrawn
from scalinglab.study import Study
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class ProbeVerbOptions(Options, ProbeOptions):
    """Options of ``scaling probe``."""

    overrides: list[str] = overrides("the study, and where it is done: study=NAME launch=slurm")


def run(options: ProbeVerbOptions, screen: Screen) -> Probed | Withdrawn:
    """Read checkpoints of a study's finished runs: scaling probe study=NAME probe=validation.

    Where and how is said as for a launch: launch.workers=2, launch=slurm, execution.device=cuda.
    Ctrl-C keeps what was found; the same command goes on, and nothing is found twice. The numbers
    are columns of the study's tables, by the names that are shown: scaling fit study=NAME
    columns.loss=probe.average.loss fits one of them.

    steps=all reads every step that has a checkpoint; study.checkpoints={log: 8} keeps more of them
    when a study is trained.

    withdraw=true probe=NAME [options.KEY=...] asks no longer what still lacks numbers, such as of a
    probe that fails.
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
