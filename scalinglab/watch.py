"""A study while it trains: live on a terminal, a bar in a notebook, elsewhere a line a run."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from scalinglab.analysis.tables.typed import records_of
from scalinglab.bar import bar_lines, text_bar
from scalinglab.cell_bar import cell_bar
from scalinglab.scaling.records.state import FINISHED, State
from scalinglab.scaling.text.duration import duration
from scalinglab.scaling.text.printable import excerpt, one_line
from scalinglab.show import blank, counts, status_frame, with_varying
from scalinglab.sweeps.launch.announced import is_announced
from scalinglab.sweeps.store.state import LOOKS_APART
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.store.stored_plan import study_folder
from scalinglab.sweeps.watch.cancel import open_launches
from scalinglab.sweeps.watch.progress import Progress, progress
from scalinglab.table_lines import GrowingTable, table_lines, wrap
from scalinglab.terminal import Screen

_MAY_DIFFER = ("role", "N", "D", "schedule", "seed")  # not shown where all runs agree
# First to give way first; LR stands there only where it tells runs apart.
_OPTIONAL = ("step", "schedule", "tok/s", "seed", "role", "D", "N", "LR")

_WATCH_SECONDS = 3.0
_PLAN_SECONDS = 0.5  # between two looks at whether a study is planned


class Watch:
    """Shows the progress of a study while it trains."""

    def __init__(self, screen: Screen, outputs: Path, study: str) -> None:
        self.screen = screen
        self.outputs, self.study = outputs, study
        self.began = time.monotonic()
        self._states: dict[str, str] = {}  # run_id -> state at the last look
        self._finished: dict[str, dict[str, Any]] = {}  # rows that `status` need not read again
        self._ended: GrowingTable | None = None
        self._last: tuple[pd.DataFrame, Progress] | None = None  # what is shown now
        self._widths: list[int] = []  # of its lines, as they stand on the terminal
        self._cell = cell_bar() if screen.is_standard else None
        self._next = 0.0  # when the study is looked at again, by time.monotonic
        self._live = Live(
            console=screen.console,
            refresh_per_second=2,
            transient=True,
            get_renderable=self._drawn,
        )

    def __enter__(self) -> Watch:
        if self.screen.is_live:
            self._live.start()
        self.tick()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def runs(self) -> bool:
        """Whether any run was training at the last look."""
        return State.RUNNING in self._states.values()

    def tick(self, *, at_once: bool = False) -> None:
        """Look at the study and show what has changed.

        A look at a large study takes a while: until the next, `LOOKS_APART` times that passes,
        unless `at_once`.
        """
        began = time.monotonic()
        if began < self._next and not at_once:
            return
        self._look()
        self._next = time.monotonic() + LOOKS_APART * (time.monotonic() - began)

    def _look(self) -> None:
        table = status(self.outputs, self.study, self._finished)
        for row in records_of(table):
            before = self._states.get(row["run_id"])
            has_changed = before is not None and before != row["state"]
            # In a notebook, the bar counts the runs that are done.
            if has_changed and not (self._cell and row["state"] == State.DONE):
                self._say(row, table)
            self._states[row["run_id"]] = row["state"]
        if self.screen.is_live:
            self._last = table, progress(self.outputs, self.study, table, ask_queue=False)
            self._live.refresh()
        elif self._cell:
            now = progress(self.outputs, self.study, table, ask_queue=False)
            pace = _pace(now, table[table["state"] == State.RUNNING])
            self._cell.update(_share(now, table), f"{self._heading(table)}   {pace}".rstrip())

    def _say(self, row: dict[str, Any], table: pd.DataFrame) -> None:
        """A line for a run that has ended or was interrupted."""
        if row["state"] in (State.RUNNING, State.WAITING, State.PLANNED):
            return
        frame, names = _ended_frame(table)
        if self._ended is None:
            optional = (*(n for n in _OPTIONAL if n not in names), *names[::-1])
            self._ended = GrowingTable(self.screen, frame, optional=optional)
        cells = dict(frame.iloc[list(table["run_id"]).index(row["run_id"])])
        states = self._states | {row["run_id"]: row["state"]}  # later rows are not counted yet
        cells["ended"] = f"{sum(state in FINISHED for state in states.values())}/{len(table)}"
        cells["after"] = duration(time.monotonic() - self.began)
        cells["state"] = row["state"]
        if row["state"] not in FINISHED:
            cells["loss"] = ""  # the loss of some step says nothing of the end
        self._ended.add(cells, one_line(excerpt(row["note"])))

    def _drawn(self) -> Group:
        """The picture of the last look, for the width that the terminal has now."""
        if self._last is None:
            return Group()
        width = int(self.screen.width)
        if width < self.screen.console.width:
            self._count_wrapped(width)
        self.screen.console.width = width
        picture = Group(*self._picture(*self._last))
        drawn_lines = self.screen.console.render_lines(picture, pad=False)
        self._widths = [Segment.get_line_length(line) for line in drawn_lines]
        return picture

    def _count_wrapped(self, width: int) -> None:
        """Say how many rows the last picture takes since the terminal became narrower.

        The terminal has wrapped its lines; rich goes up by as many rows as it had drawn, and would
        leave the first ones behind at each refresh.
        """
        rows = sum(max(1, math.ceil(drawn / width)) for drawn in self._widths)
        self._live._live_render._shape = (width, rows)

    def _picture(self, table: pd.DataFrame, now: Progress) -> list[Text | Table]:
        running = table[table["state"] == State.RUNNING]
        width = self.screen.width
        lines: list[Text | Table] = [
            Text(line) for line in wrap(one_line(self._heading(table)), width)
        ]
        lines += bar_lines(_share(now, table), _pace(now, running), width)
        if len(running):
            columns = ["run", *_differing(table), *_rate(table), "step", "loss", "tok/s"]
            shown = status_frame(running)[columns]
            shown.insert(1, "done", [text_bar(share) for share in _shares(running)])
            shown["left"] = _times_left(running)
            frame, names = with_varying(shown, running["varies"])
            optional = (*(n for n in _OPTIONAL if n not in names), *names[::-1])
            lines += table_lines(frame, width, optional=optional, notes=False)
        return lines

    def _heading(self, table: pd.DataFrame) -> str:
        elapsed = duration(time.monotonic() - self.began)
        return f"{self.study}: {counts(table['state'])}   {elapsed}"


def _ended_frame(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The row of each run once it has ended, each cell as wide as it can get."""
    shown = status_frame(table)
    fixed = pd.DataFrame(
        {
            "ended": f"{len(table)}/{len(table)}",
            "run": shown["run"],
            "loss": [blank(v, ".4f") or "0.0000" for v in table["loss"]],
            **{name: shown[name] for name in (*_differing(table), *_rate(table))},
            "after": duration(3599),
            "state": State.INTERRUPTED,  # the longest of those that are told
        }
    )
    return with_varying(fixed, table["varies"])


def _differing(table: pd.DataFrame) -> list[str]:
    """Columns in which some runs of a study differ, and N."""
    return [name for name in _MAY_DIFFER if table[name].nunique() > 1 or name == "N"]


def _rate(table: pd.DataFrame) -> list[str]:
    """The column LR, if runs of one N and D have several learning rates."""
    return ["LR"] if (table.groupby(["N", "D"])["lr"].nunique() > 1).any() else []


def _shares(running: pd.DataFrame) -> pd.Series:
    """Progress of each run, from 0 to 1."""
    return (running["step"] / running["steps"].clip(lower=1)).clip(upper=1.0)


def _times_left(running: pd.DataFrame) -> list[str]:
    """Remaining seconds of each run at its own pace; empty for runs without a pace yet."""
    tokens = running["D"] * (1 - _shares(running))
    seconds = tokens / running["tokens_per_second"].where(running["tokens_per_second"] > 0)
    return ["" if math.isnan(left) else duration(left) for left in seconds]


def _share(now: Progress, table: pd.DataFrame) -> float:
    """The share of the training that is done: of the predicted time if known, or of the steps."""
    if not math.isnan(now.share):
        return now.share
    done = table["step"].clip(upper=table["steps"]).sum()
    return float(done / max(table["steps"].sum(), 1))


def _pace(now: Progress, running: pd.DataFrame) -> str:
    """ "61 %  24,500 tok/s  3 min 20 s left"."""
    rate = running["tokens_per_second"].sum()
    parts = [f"{rate:,.0f} tok/s"] if rate > 0 else []
    if not math.isnan(now.seconds_left):
        parts.append(f"{duration(now.seconds_left)} left")
    return "  ".join(parts)


def watch_study(screen: Screen, outputs: Path, name: str) -> None:
    """Show a study until no launch is open and no run trains; a launch may still be planning it."""

    def is_planned_first() -> bool:
        """Whether a launch is making the study's first plan, before which nothing can be shown."""
        stored = (study_folder(outputs, name) / "plan.json").exists()
        return not stored and is_announced(outputs, name)

    if is_planned_first():
        screen.say(f"{name}: a launch is planning it")
    while is_planned_first():
        time.sleep(_PLAN_SECONDS)
    with Watch(screen, outputs, name) as watch:
        while is_announced(outputs, name) or open_launches(outputs, name) or watch.runs():
            time.sleep(_WATCH_SECONDS)
            watch.tick()
