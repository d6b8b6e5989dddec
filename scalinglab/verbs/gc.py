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
    """The checkpoints of an outputs folder, and which nothing needs.

    Attributes
    ----------
    found : DataFrame
        One row a file, as ``scalinglab.sweeps.watch.gc.survey``.
    removed : int or None
        Files that were removed; None where it was only looked.
    """

    found: pd.DataFrame
    removed: int | None = None

    code = 0

    def as_json(self) -> dict[str, Any]:
        """Files and bytes, of all and of those that nothing needs."""
        going = self.found[self.found["goes"]]
        return {
            "kinds": _kinds(self.found),
            "files": len(self.found),
            "bytes": int(self.found["bytes"].sum()),
            "unneeded_files": len(going),
            "unneeded_bytes": int(going["bytes"].sum()),
            "removed": self.removed,
        }

    def show(self, screen: Screen) -> None:
        """A row for each reason why files are there, and what would be freed; or what was freed."""
        if self.removed is None:
            self.show_kinds(screen)
        going = self.found[self.found["goes"]]
        freed, all_bytes = (size(int(f["bytes"].sum())) for f in (going, self.found))
        what = f"of {len(self.found)} files, {freed} of {all_bytes}"
        if self.removed is None:
            screen.say(f"would remove {len(going)} {what}; dry_run=false removes them")
        else:
            screen.say(f"removed {self.removed} {what}")

    def show_kinds(self, screen: Screen) -> None:
        """A row for each reason why files are there."""
        if len(self.found):
            screen.table(summary(self.found), text="why it is there")


def _kinds(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The table of kinds, with names for all of its columns."""
    if table.empty:
        return []
    named = summary(table).rename(columns={"": "verdict", "why it is there": "why"})
    return records_of(named)


def run(options: GcOptions, screen: Screen) -> Garbage:
    """Show which checkpoints nothing needs any more; remove them with dry_run=false.

    keep=weights keeps branch points and final weights, keep=branch (the default) branch points
    only, keep=needed nothing but what unfinished runs need. What unfinished runs may start from
    and whatever a running run's family has always stays; no record is ever touched.
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
    if not options.json:  # before: removing may take long, or be interrupted
        Garbage(table).show_kinds(screen)
    return Garbage(table, remove(table))


VERB = Verb(
    "remove checkpoints that nothing needs",
    "scaling gc [keep=branch] [dry_run=false] [outputs=outputs]",
    run,
    GcOptions,
)
