"""Plans, states and progress on a terminal; plain lines where there is none."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from scalinglab.analysis.tables.typed import records_of
from scalinglab.scaling.records.state import FINISHED, State
from scalinglab.scaling.text.printable import excerpt, one_line
from scalinglab.sweeps.store.state import LOOKS_APART
from scalinglab.sweeps.store.status import status
from scalinglab.terminal import Screen, table_lines, wrap

if TYPE_CHECKING:
    from scalinglab.scaling.run.resolve import Run
    from scalinglab.sweeps.plan.plan import Plan, PlannedRun
    from scalinglab.sweeps.watch.progress import Progress

# Left out of a narrow terminal, the first named first.
PLAN_OPTIONAL = (
    "pack",
    "width",
    "beta2",
    "D/N",
    "warm-up",
    "starts from",
    "role",
    "schedule",
    "seed",
    "LR",
    "state",
)
STATUS_OPTIONAL = ("predicted", "tok/s", "attempt", "seconds", "role", "schedule", "seed", "LR")


# Hyper-parameter -> its column, where a rule gives it to any run.
GIVEN_COLUMNS: Mapping[str, tuple[str, Callable[[Run], str]]] = {
    "batch": ("batch", lambda run: f"{run.config.batch}"),
    "weight_decay": ("WD", lambda run: f"{run.config.optimizer.weight_decay:.3g}"),
    "warmup": ("warm-up", lambda run: f"{vars(run.config.schedule)['warmup_tokens']:,}"),
    "beta2": ("beta2", lambda run: f"{vars(run.config.optimizer)['beta2']:.4g}"),
}


def plan_frame(plan: Plan) -> pd.DataFrame:
    """The plan as people read it: one row a run, longest first; what rules gave has a column."""
    names = {name for p in plan.runs for name in p.run.given}
    by_rule = dict(column for name, column in GIVEN_COLUMNS.items() if name in names)
    packed = any(p.pack > 1 and p.new_steps for p in plan.runs)
    return pd.DataFrame(
        {
            "run": p.run.run_id,
            "role": ",".join(p.roles),
            "width": p.run.shape.width,
            "N": f"{p.run.counts['n_matmul']:,}",
            "D": f"{p.run.tokens:,}",
            "D/N": f"{p.run.tokens / p.run.counts['n_matmul']:.1f}",
            "C (causal)": f"{p.run.C:.2e}",
            "LR": f"{p.run.lr:.4g}",
            **{column: form(p.run) for column, form in by_rule.items()},
            "schedule": p.run.config.schedule.kind,
            "seed": p.run.config.seed,
            "state": p.state,
            "new steps": f"{p.new_steps:,}/{p.run.steps:,}",
            "starts from": _start(p) if p.is_unfinished else "",
            **({"pack": f"of {p.pack}" if p.pack > 1 and p.new_steps else ""} if packed else {}),
            "seconds": _blank(p.seconds if p.is_unfinished else float("nan"), ".1f"),
        }
        for p in plan.runs
    )


def points_frame(plan: Plan) -> pd.DataFrame:
    """The runs of a plan as points of a law: ``N, D, C`` and ``role``."""
    return pd.DataFrame(
        [
            {
                "N": p.run.counts["n_matmul"],
                "D": p.run.tokens,
                "C": p.run.C,
                "role": ",".join(p.roles),
            }
            for p in plan.runs
        ]
    )


def distinct_schedules(plan: Plan) -> dict[str, Run]:
    """A run for each different schedule of a plan, by a name that tells them apart."""
    found: dict[str, Run] = {}
    for planned in plan.runs:
        run = planned.run
        if all(run.pieces != other.pieces for other in found.values()):
            kinds = dict.fromkeys((run.config.schedule.kind, run.pieces[-1].shape))
            name = f"{' '.join(kinds)}, {run.steps} steps, {run.lr:.3g}"
            same = sum(n.partition(" #")[0] == name for n in found)
            found[f"{name} #{same + 1}" if same else name] = run
    return found


def _start(planned: PlannedRun) -> str:
    if planned.needs is not None:
        return f"{planned.needs[0]} at {planned.needs[1]}"
    return f"checkpoint at {planned.start}" if planned.start else ""


def duration(seconds: float) -> str:
    """ "1 h 05 min", "3 min 20 s" or "12 s"."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def status_frame(found: pd.DataFrame) -> pd.DataFrame:
    """The table of ``scalinglab.sweeps.store.status.status`` as people read it."""
    return pd.DataFrame(
        {
            "run": found["run_id"],
            "role": found["role"],
            "N": [f"{n:,}" for n in found["N"]],
            "D": [f"{d:,}" for d in found["D"]],
            "LR": [f"{lr:.4g}" for lr in found["lr"]],
            "schedule": found["schedule"],
            "seed": found["seed"],
            "state": found["state"],
            "step": [f"{a:,}/{b:,}" for a, b in zip(found["step"], found["steps"], strict=True)],
            "loss": [_blank(v, ".4f") for v in found["loss"]],
            "tok/s": [_blank(v, ",.0f") for v in found["tokens_per_second"]],
            "attempt": found["attempt"],
            "seconds": [_blank(v, ".1f") for v in found["seconds"]],
            "predicted": [_blank(v, ".1f") for v in found["predicted_seconds"]],
            "note": [excerpt(note) for note in found["note"]],
        }
    )


def progress_text(found: Progress) -> str:
    """ "61 % of the training is done, 41 min left; ..."."""
    parts = []
    if not math.isnan(found.share):
        parts.append(f"{found.share:.0%} of the training is done")
    if not math.isnan(found.seconds_left):
        parts.append(f"about {duration(found.seconds_left)} left at the present pace")
    if not math.isnan(found.against_plan):
        more = found.against_plan - 1
        parts.append(
            f"finished runs took {abs(more):.0%} {'longer' if more >= 0 else 'less'} than predicted"
        )
    if found.packs:
        parts.append("one pack trains" if found.packs == 1 else f"{found.packs} packs train")
    if found.queue is None:
        parts.append("SLURM does not answer")
    elif found.queue:
        tasks = ", ".join(f"{n} {state}" for state, n in sorted(found.queue.items()))
        parts.append(f"tasks in SLURM's queue: {tasks}")
    return "; ".join(parts)


def _blank(value: float, form: str) -> str:
    return "" if pd.isna(value) else format(value, form)


def counts(states: pd.Series) -> str:
    """ "12 done, 2 running, 9 planned"."""
    found = states.value_counts()
    return ", ".join(f"{found[state]} {state}" for state in State if state in found) or "no run"


class Watch:
    """Shows a study's progress while it runs: live on a terminal, a line a change elsewhere."""

    def __init__(self, screen: Screen, outputs: Path, study: str) -> None:
        self.screen = screen
        self.outputs, self.study = outputs, study
        self.began = time.monotonic()
        self._before: dict[str, str] = {}
        self._finished: dict[str, dict[str, Any]] = {}
        self._live = Live(console=screen.console, refresh_per_second=2, transient=True)
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
        found = status(self.outputs, self.study, self._finished)
        for row in records_of(found):
            before = self._before.get(row["run_id"])
            if before is not None and before != row["state"]:
                self._say(row, found)
            self._before[row["run_id"]] = row["state"]
        if self.screen.is_live:
            self.screen.console.width = int(self.screen.width)  # it may have changed
            self._live.update(self._picture(found))

    def _say(self, row: dict[str, Any], found: pd.DataFrame) -> None:
        """A line for a run that has come to an end or was interrupted."""
        if row["state"] in (State.RUNNING, State.BLOCKED, State.PLANNED):
            return
        finished = found["state"].isin(FINISHED).sum()
        loss = "" if pd.isna(row["loss"]) else f"loss {row['loss']:.4f}  "
        self.screen.say(
            f"{finished:3d}/{len(found)}  {row['run_id']}  {row['state']:<12}"
            f"N {row['N']:>9,}  D {row['D']:>11,}  {row['schedule']:<8} seed {row['seed']}  "
            f"{loss}after {duration(time.monotonic() - self.began)}"
            + (f"  {one_line(excerpt(row['note']))}" if row["note"] else "")
        )

    def _picture(self, found: pd.DataFrame) -> Group:
        done = found["step"].clip(upper=found["steps"]).sum()
        running = status_frame(found[found["state"] == State.RUNNING])
        width = self.screen.width
        heading = (
            f"{self.study}: {counts(found['state'])}   {duration(time.monotonic() - self.began)}"
        )
        bar = Table.grid()  # a bar alone does not end its line
        bar.add_row(
            ProgressBar(
                total=float(found["steps"].sum()), completed=float(done), width=min(60, int(width))
            )
        )
        rows = table_lines(
            running[["run", "N", "D", "schedule", "step", "loss", "tok/s"]],
            width,
            optional=("tok/s", "schedule"),
        )
        return Group(*(Text(line) for line in wrap(one_line(heading), width)), bar, *rows)
