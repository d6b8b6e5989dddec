"""``scaling gc``: remove checkpoints that nothing needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from scalinglab.analysis.tables.typed import records_of
from scalinglab.options import OutputsOptions, option
from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.watch.gc import remove, size, summary, survey
from scalinglab.terminal import Screen
from scalinglab.verb import Verb


@dataclass(frozen=True, kw_only=True)
class GcOptions(OutputsOptions):
    """Options of ``scaling gc``."""

    keep: str = option("what stays: weights, branch or needed", "branch")
    dry_run: bool = option("only show what would be removed", True)


@dataclass(frozen=True)
class Garbage:
    """The checkpoints of an outputs folder, and which of them nothing needs.

    Attributes
    ----------
    checkpoints : DataFrame
        One row a file, from ``scalinglab.sweeps.watch.gc.survey``.
    removed : int or None
        Files that were removed; None in a dry run.
    """

    checkpoints: pd.DataFrame
    removed: int | None = None

    code = 0

    def as_json(self) -> dict[str, Any]:
        """Files and bytes, of all and of those that nothing needs."""
        unneeded = self.checkpoints[self.checkpoints["goes"]]
        return {
            "kinds": _kinds(self.checkpoints),
            "files": len(self.checkpoints),
            "bytes": int(self.checkpoints["bytes"].sum()),
            "unneeded_files": len(unneeded),
            "unneeded_bytes": int(unneeded["bytes"].sum()),
            "removed": self.removed,
        }

    def show(self, screen: Screen) -> None:
        """A row for each reason why files are there, and what would be freed; or what was freed."""
        if self.removed is None:
            self.show_kinds(screen)
        unneeded = self.checkpoints[self.checkpoints["goes"]]
        freed, total = (size(int(f["bytes"].sum())) for f in (unneeded, self.checkpoints))
        shares = f"of {len(self.checkpoints)} files, {freed} of {total}"
        if self.removed is None:
            screen.say(f"would remove {len(unneeded)} {shares}; dry_run=false removes them")
        else:
            screen.say(f"removed {self.removed} {shares}")

    def show_kinds(self, screen: Screen) -> None:
        """A row for each reason why files are there."""
        if len(self.checkpoints):
            screen.table(summary(self.checkpoints), text="why it is there")


def _kinds(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The summary of the checkpoints as records; in the table one column has no name."""
    if table.empty:
        return []
    named = summary(table).rename(columns={"": "verdict", "why it is there": "why"})
    return records_of(named)


def run(options: GcOptions, screen: Screen) -> Garbage:
    """Show which checkpoints nothing needs any more; remove them with dry_run=false.

    keep=weights keeps branch points and final weights, keep=branch (the default) branch points
    only, keep=needed only what unfinished runs need. Checkpoints from which unfinished runs may
    start, and all of the family of a running run, always stay; no record is ever touched.
    """
    outputs = options.outputs_path
    if not outputs.is_dir():
        raise ConfigError(
            f"outputs = {options.outputs!r}: there is no such folder; it is the one "
            "that scaling launch wrote"
        )
    table = survey(outputs, options.keep)
    if options.dry_run:
        return Garbage(table)
    if not options.json:  # shown first, because removing may take long or be interrupted
        Garbage(table).show_kinds(screen)
    return Garbage(table, remove(table))


VERB = Verb(
    "remove checkpoints that nothing needs",
    "scaling gc [keep=branch] [dry_run=false] [outputs=outputs]",
    run,
    GcOptions,
)
