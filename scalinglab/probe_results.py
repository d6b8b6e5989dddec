"""The numbers that probes gave, and the questions that were withdrawn, as data, text and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scalinglab.scaling.text.printable import excerpt
from scalinglab.verb import INTERRUPTED

if TYPE_CHECKING:
    import pandas as pd

    from scalinglab.terminal import Screen

_SHOWN = 10  # failures that are shown by name
_COLUMNS = 8  # numbers of a probe in its table


@dataclass(frozen=True)
class Withdrawn:
    """Questions to the checkpoints of a study that were withdrawn."""

    study: str
    questions: list[str]
    code = 0

    def as_json(self) -> dict[str, Any]:
        """The names of the questions."""
        return {"study": self.study, "withdrawn": self.questions}

    def show(self, screen: Screen) -> None:
        """A line a question."""
        for question in self.questions:
            screen.say(f"no longer asked: {question}")
        if not self.questions:
            screen.say(f"study {self.study!r}: no such question lacks numbers")


@dataclass(frozen=True)
class Probed:
    """The numbers that probes gave for a study.

    Attributes
    ----------
    study : str
    frame : DataFrame
        One row a run and step: ``run_id, step`` and the numbers, by the names of their columns.
    left : mapping of str to str
        Run -> why numbers are missing; an empty text if the run has not been probed yet.
    left_out : tuple of str
        Sentences about runs that cannot be probed.
    interrupted : bool
        Whether the person stopped it.
    submitted : bool
        Whether it was submitted to SLURM without waiting for the end.
    """

    study: str
    frame: pd.DataFrame
    left: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    interrupted: bool = False
    submitted: bool = False

    @property
    def code(self) -> int:
        """0 if all numbers are there, or their jobs submitted."""
        if self.interrupted:
            return INTERRUPTED
        return 0 if self.submitted else int(bool(self.left))

    def as_json(self) -> dict[str, Any]:
        """The numbers, and why others are missing."""
        return {
            "study": self.study,
            "numbers": self.frame,
            "left": dict(self.left),
            "left_out": list(self.left_out),
            "interrupted": self.interrupted,
            "submitted": self.submitted,
        }

    def show(self, screen: Screen) -> None:
        """A row a run and step, and why numbers are missing."""
        for sentence in self.left_out:
            screen.say(f"left out: {sentence}")
        for table, hidden_count in self._tables():
            screen.table(table.map(_cell))
            if hidden_count:
                screen.say(
                    f"and {hidden_count} further columns: --json, and the study's tables, have them"
                )
        for run_id, reason in list(self.left.items())[:_SHOWN]:
            screen.say(f"{run_id}: {excerpt(reason) or 'not yet'}")
        if len(self.left) > _SHOWN:
            screen.say(f"and {len(self.left) - _SHOWN} more")
        if self.left and not self.submitted:
            screen.say(f"scaling probe study={self.study} goes on with all that was asked for")

    def _tables(self) -> Iterator[tuple[pd.DataFrame, int]]:
        """A table for each probe, and the number of its columns that are not shown."""
        by_probe: dict[str, list[str]] = {}
        for column in self.frame.columns[2:]:
            by_probe.setdefault(".".join(column.split(".")[:2]), []).append(column)
        for names in by_probe.values():
            # Numbers of single layers stand last, as the first to be left out.
            columns = sorted(names, key=lambda name: name.rpartition(".")[2].isdigit())
            rows = self.frame.dropna(subset=columns, how="all")
            if len(rows):
                yield rows[["run_id", "step", *columns[:_COLUMNS]]], max(0, len(columns) - _COLUMNS)


def _cell(number: Any) -> Any:
    if not isinstance(number, float):
        return number
    return "" if math.isnan(number) else f"{number:.5g}"
