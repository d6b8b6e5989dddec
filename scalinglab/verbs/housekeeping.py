"""The verbs that tidy up: results as tables, checkpoints that nothing needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scalinglab.options import option
from scalinglab.scaling.config import ConfigError
from scalinglab.verb import Verb, open_console, say


@dataclass(frozen=True)
class CollectOptions:
    """Options of ``scaling collect``."""

    study: str = option("whose records are written")
    outputs: str = option("the folder of all runs", "outputs")


@dataclass(frozen=True)
class GcOptions:
    """Options of ``scaling gc``."""

    keep: str = option("what stays: weights, branch or needed", "branch")
    dry_run: bool = option("only show what would go", True)
    outputs: str = option("the folder of all runs", "outputs")


def collect_verb(arguments: Sequence[str]) -> int:
    """Write a study's records as results/runs.parquet and results/curves.parquet.

    One row a run and one row a step, diverged runs included. Only what is new is read.
    """
    from scalinglab.options import read_options
    from scalinglab.sweeps.watch.collect import collect

    options = read_options(CollectOptions, arguments)
    console = open_console()
    for path in collect(Path(options.outputs).absolute(), options.study):
        say(console, str(path))
    return 0


def gc_verb(arguments: Sequence[str]) -> int:
    """Show which checkpoints nothing needs any more; remove them with dry_run=false.

    keep=weights keeps branch points and final weights, keep=branch (the default) branch points
    only, keep=needed nothing but what unfinished runs need. What unfinished runs may start from
    and whatever a running run's family has always stays; no record is ever touched.
    """
    from scalinglab.options import read_options
    from scalinglab.sweeps.watch.gc import remove, size, summary, survey

    options = read_options(GcOptions, arguments)
    outputs = Path(options.outputs).absolute()
    if not outputs.is_dir():
        raise ConfigError(
            f"outputs = {options.outputs!r}: there is no such folder; it is the one "
            "that scaling launch wrote"
        )
    found = survey(outputs, options.keep)
    console = open_console()
    if len(found):
        console.table(summary(found), text="why it is there")
    going = found[found["goes"]]
    freed, all_bytes = size(int(going["bytes"].sum())), size(int(found["bytes"].sum()))
    what = f"of {len(found)} files, {freed} of {all_bytes}"
    if options.dry_run:
        say(console, f"would remove {len(going)} {what}; dry_run=false removes them")
    else:
        say(console, f"removed {remove(found)} {what}")
    return 0


@dataclass(frozen=True)
class DoctorOptions:
    """Options of ``scaling doctor``."""

    outputs: str = option("the folder of all runs", "outputs")


def doctor_verb(arguments: Sequence[str]) -> int:
    """Look at what a study depends on here: packages, devices, the file system, SLURM."""
    import pandas as pd

    from scalinglab.options import read_options
    from scalinglab.sweeps.watch.doctor import examine

    options = read_options(DoctorOptions, arguments)
    found = examine(Path(options.outputs).absolute())
    console = open_console()
    console.table(pd.DataFrame([vars(f) for f in found]), text="seen")
    return 1 if any(f.verdict == "wrong" for f in found) else 0


VERBS = {
    "doctor": Verb(
        "look at what a study depends on on this machine and its cluster",
        "scaling doctor [outputs=outputs]",
        doctor_verb,
        DoctorOptions,
    ),
    "collect": Verb(
        "write a study's results as parquet",
        "scaling collect study=NAME [outputs=outputs]",
        collect_verb,
        CollectOptions,
    ),
    "gc": Verb(
        "remove checkpoints that nothing needs",
        "scaling gc [keep=branch] [dry_run=false] [outputs=outputs]",
        gc_verb,
        GcOptions,
    ),
}
