"""States and progress on a terminal; plain lines where there is none."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scalinglab.analysis.tables.typed import records_of
from scalinglab.cell_bar import cell_bar
from scalinglab.scaling.records.state import FINISHED, State
from scalinglab.scaling.text.printable import excerpt, one_line
from scalinglab.sweeps.launch.announced import is_announced
from scalinglab.sweeps.store.state import LOOKS_APART
from scalinglab.sweeps.store.status import status
from scalinglab.sweeps.store.stored_plan import study_folder
from scalinglab.sweeps.watch.cancel import open_launches
from scalinglab.sweeps.watch.progress import Progress
from scalinglab.terminal import Screen, table_lines, wrap

# Left out of a narrow terminal, the first named first.
STATUS_OPTIONAL = ("predicted", "tok/s", "attempt", "seconds", "role", "schedule", "seed", "LR")

LIVE = ("run", "varies", "N", "D", "schedule", "step", "loss", "tok/s")  # while runs train

_WATCH_SECONDS = 3.0
_PLAN_SECONDS = 0.5  # between two looks at whether a study is planned


def duration(seconds: float) -> str:
    """ "1 h 05 min", "3 min 20 s" or "12 s"."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def status_frame(status: pd.DataFrame) -> pd.DataFrame:
    """The table of ``scalinglab.sweeps.store.status.status`` as people read it."""
    return pd.DataFrame(
        {
            "run": status["run_id"],
            "role": status["role"],
            **({"varies": status["varies"]} if status["varies"].any() else {}),
            "N": [f"{n:,}" for n in status["N"]],
            "D": [f"{d:,}" for d in status["D"]],
            "LR": [f"{lr:.4g}" for lr in status["lr"]],
            "schedule": status["schedule"],
            "seed": status["seed"],
            "state": status["state"],
            "step": [f"{a:,}/{b:,}" for a, b in zip(status["step"], status["steps"], strict=True)],
            "loss": [blank(v, ".4f") for v in status["loss"]],
            "tok/s": [blank(v, ",.0f") for v in status["tokens_per_second"]],
            "attempt": status["attempt"],
            "seconds": [blank(v, ".1f") for v in status["seconds"]],
            "predicted": [blank(v, ".1f") for v in status["predicted_seconds"]],
            "note": [excerpt(note) for note in status["note"]],
        }
    )


def progress_text(progress: Progress) -> str:
    """ "61 % of the training is done, 41 min left; ..."."""
    parts = []
    if not math.isnan(progress.share):
        parts.append(f"{progress.share:.0%} of the training is done")
    if not math.isnan(progress.seconds_left):
        parts.append(f"about {duration(progress.seconds_left)} left at the present pace")
    if not math.isnan(progress.against_plan):
        more = progress.against_plan - 1
        parts.append(
            f"finished runs took {abs(more):.0%} {'longer' if more >= 0 else 'less'} than predicted"
        )
    if progress.packs:
        parts.append("one pack trains" if progress.packs == 1 else f"{progress.packs} packs train")
    if progress.queue is None:
        parts.append("SLURM does not answer")
    elif progress.queue:
        tasks = ", ".join(f"{n} {state}" for state, n in sorted(progress.queue.items()))
        parts.append(f"tasks in SLURM's queue: {tasks}")
    return "; ".join(parts)


def blank(value: float, form: str) -> str:
    """A number as it is written; nothing where there is none."""
    return "" if pd.isna(value) else format(value, form)


def counts(states: pd.Series) -> str:
    """ "12 done, 2 running, 9 planned"."""
    count_by_state = states.value_counts()
    return (
        ", ".join(f"{count_by_state[state]} {state}" for state in State if state in count_by_state)
        or "no run"
    )


class Watch:
    """Shows a study's progress while it runs: live on a terminal, as a bar in a notebook, a line a
    change elsewhere.
    """

    def __init__(self, screen: Screen, outputs: Path, study: str) -> None:
        self.screen = screen
        self.outputs, self.study = outputs, study
        self.began = time.monotonic()
        self._before: dict[str, str] = {}
        self._finished: dict[str, dict[str, Any]] = {}
        self._live = Live(console=screen.console, refresh_per_second=2, transient=True)
        self._cell = cell_bar() if screen.is_standard else None
        self._next = 0.0  # when the study is looked at again, by time.monotonic

    def __enter__(self) -> Watch:
        if self.screen.is_live:
            self._live.start()
        self.tick()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def runs(self) -> bool:
        """Whether any run was training at the last look."""
        return State.RUNNING in self._before.values()

    def tick(self, *, at_once: bool = False) -> None:
        """Look at the study and show what has changed.

        A look at a large study takes a while: the next is `LOOKS_APART` times as long away, unless
        one `at_once` is wanted.
        """
        began = time.monotonic()
        if began < self._next and not at_once:
            return
        self._look()
        self._next = time.monotonic() + LOOKS_APART * (time.monotonic() - began)

    def _look(self) -> None:
        table = status(self.outputs, self.study, self._finished)
        for row in records_of(table):
            before = self._before.get(row["run_id"])
            is_news = before is not None and before != row["state"]
            if is_news and not (self._cell and row["state"] == State.DONE):  # its bar counts them
                self._say(row, table)
            self._before[row["run_id"]] = row["state"]
        if self.screen.is_live:
            self.screen.console.width = int(self.screen.width)  # it may have changed
            self._live.update(self._picture(table))
        elif self._cell:
            done, total = _steps(table)
            self._cell.update(done / total if total else 1.0, self._heading(table))

    def _say(self, row: dict[str, Any], table: pd.DataFrame) -> None:
        """A line for a run that has come to an end or was interrupted."""
        if row["state"] in (State.RUNNING, State.BLOCKED, State.PLANNED):
            return
        finished = table["state"].isin(FINISHED).sum()
        # As wide as the study's longest: lines stand below each other, and fit into 100 columns.
        outcome = _outcome(row).ljust(max(len(_outcome(r)) for r in records_of(table)))
        size = f"{row['N']:,}".rjust(len(f"{table['N'].max():,}"))
        tokens = f"{row['D']:,}".rjust(len(f"{table['D'].max():,}"))
        longest = max(map(len, table["varies"]))
        schedule = row["schedule"].ljust(max(map(len, table["schedule"])))
        varies = f"  {row['varies']}".ljust(2 + longest) if longest else ""
        self.screen.say(
            f"{finished:3d}/{len(table)}  {row['run_id']}  {outcome}  N {size}  D {tokens}  "
            f"{schedule}{varies}  seed {row['seed']}  after "
            f"{duration(time.monotonic() - self.began)}"
            + (f"  {one_line(excerpt(row['note']))}" if row["note"] else "")
        )

    def _picture(self, table: pd.DataFrame) -> Group:
        done, total = _steps(table)
        running = status_frame(table[table["state"] == State.RUNNING])
        width = self.screen.width
        bar = Table.grid()  # a bar alone does not end its line
        bar.add_row(ProgressBar(total=total, completed=done, width=min(60, int(width))))
        rows = table_lines(
            running[[c for c in LIVE if c in running]],
            width,
            optional=("tok/s", "schedule"),
        )
        heading = wrap(one_line(self._heading(table)), width)
        return Group(*(Text(line) for line in heading), bar, *rows)

    def _heading(self, table: pd.DataFrame) -> str:
        return f"{self.study}: {counts(table['state'])}   {duration(time.monotonic() - self.began)}"


def _steps(table: pd.DataFrame) -> tuple[float, float]:
    """Steps that are trained, and all that are wanted."""
    done = table["step"].clip(upper=table["steps"]).sum()
    return float(done), float(table["steps"].sum())


def _outcome(row: dict[str, Any]) -> str:
    """ "done, loss 1.1938"; of an unfinished run the state alone: its loss is that of some step."""
    has_loss = row["state"] in FINISHED and not pd.isna(row["loss"])
    return f"{row['state']}, loss {row['loss']:.4f}" if has_loss else str(row["state"])


def watch_study(screen: Screen, outputs: Path, name: str) -> None:
    """Show a study until no launch is left and no run trains; a launch may still be planning it."""

    def is_planned_first() -> bool:
        """Whether a launch makes the study's first plan: until then there is nothing to show."""
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
