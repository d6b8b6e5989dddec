"""Runs, their states and their progress as text and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from scalinglab.scaling.records.state import State
from scalinglab.scaling.text.duration import duration
from scalinglab.scaling.text.printable import excerpt
from scalinglab.sweeps.plan.varying import settings_in
from scalinglab.sweeps.watch.progress import Progress
from scalinglab.terminal import Screen

# Columns that a narrow terminal leaves out, in this order.
STATUS_OPTIONAL = (
    "predicted",
    "attempt",
    "waits for",
    "LR",
    "tok/s",
    "seconds",
    "schedule",
    "seed",
    "role",
)

# Columns that follow from N and D in one recipe: where they do not, they tell runs apart.
_RECIPE = ("warm-up", "beta2", "WD", "batch", "LR", "schedule")


def varying_columns(varies: Iterable[str], fixed: pd.DataFrame) -> dict[str, list[str]]:
    """The settings in which runs differ, a column each.

    A setting that has the name of a column of `fixed` and its values is that column; one with other
    values stands beside it as ``NAME (setting)``.
    """
    settings = [settings_in(text) for text in varies]
    names = dict.fromkeys(name for run in settings for name in run)
    columns = {name: [run.get(name, "") for run in settings] for name in names}
    return {
        f"{name} (setting)" if name in fixed and not _repeats(texts, fixed[name]) else name: texts
        for name, texts in columns.items()
    }


def _repeats(texts: Sequence[str], shown: pd.Series) -> bool:
    """Whether a column shows what a setting holds, for each run that has the setting."""
    pairs = zip(texts, shown.astype(str), strict=True)
    return all(text in ("", cell.replace(",", "")) for text, cell in pairs)


def with_varying(fixed: pd.DataFrame, varies: Iterable[str]) -> tuple[pd.DataFrame, list[str]]:
    """A table of runs with columns of the settings in which they differ, and their names.

    The columns stand before N; of a setting that has a column already, that column is named.
    """
    columns = varying_columns(varies, fixed)
    n_index = list(fixed).index("N")
    added = {name: texts for name, texts in columns.items() if name not in fixed}
    varying = pd.DataFrame(added, index=fixed.index)
    table = pd.concat([fixed.iloc[:, :n_index], varying, fixed.iloc[:, n_index:]], axis=1)
    return table, list(columns)


def show_runs(
    screen: Screen,
    fixed: pd.DataFrame,
    varies: Iterable[str],
    *,
    optional: Sequence[str],
    text: str | None = None,
    title: str = "",
) -> None:
    """Show a row a run; a narrow terminal leaves out last what tells runs apart."""
    frame, names = with_varying(fixed, varies)
    alike_sizes = frame.groupby(["N", "D"])
    apart = [name for name in _RECIPE if name in frame and (alike_sizes[name].nunique() > 1).any()]
    first = [name for name in optional if name not in (*apart, *names)]
    screen.table(frame, optional=(*first, *apart, *names[::-1]), text=text, title=title)


def status_frame(status: pd.DataFrame) -> pd.DataFrame:
    """The table of ``scalinglab.sweeps.store.status.status`` as people read it."""
    waits = status["state"] == State.WAITING
    waits_for = status["note"].where(waits, "").str.removeprefix("waits for ")
    return pd.DataFrame(
        {
            "run": status["run_id"],
            "role": status["role"],
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
            **({"waits for": waits_for} if waits.any() else {}),
            "note": [
                excerpt("; ".join(filter(None, (note, *notes.split("\n")))))
                for note, notes in zip(
                    status["note"].where(~waits, ""), status["notes"], strict=True
                )
            ],
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
        excess = progress.against_plan - 1
        direction = "longer" if excess >= 0 else "less"
        parts.append(f"finished runs took {abs(excess):.0%} {direction} than predicted")
    if progress.packs:
        parts.append("one pack trains" if progress.packs == 1 else f"{progress.packs} packs train")
    if progress.queue is None:
        parts.append("SLURM does not answer")
    elif progress.queue:
        tasks = ", ".join(f"{n} {state}" for state, n in sorted(progress.queue.items()))
        parts.append(f"tasks in SLURM's queue: {tasks}")
    return "; ".join(parts)


def blank(value: float, form: str) -> str:
    """A formatted number; empty for NaN and None."""
    return "" if pd.isna(value) else format(value, form)


def counts(states: pd.Series) -> str:
    """ "12 done, 2 running, 9 planned"."""
    count_by_state = states.value_counts()
    return (
        ", ".join(f"{count_by_state[state]} {state}" for state in State if state in count_by_state)
        or "no run"
    )
