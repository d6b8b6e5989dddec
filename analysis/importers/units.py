"""Losses in nats per token, sizes with and without embeddings, tokens from steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.importers.formats.raw import BadRun, LeftOut
from scalinglab.analysis.importers.role_names import measure_of
from scalinglab.analysis.tables.imported import COUNTS
from scalinglab.analysis.tables.powers import short
from scalinglab.analysis.tables.typed import names_of
from scalinglab.scaling.errors import UserError

_FROM_SHAPE = ("n_block", "n_matmul", "n_total")  # each follows from another, vocab and width
UNITS = ("nats", "bits", "bits_per_byte", "perplexity")
_GUESSING = 13.0  # nats per token: more than guessing among 400,000 tokens


def losses(frame: pd.DataFrame) -> list[str]:
    """Columns that hold a loss; text called loss_something is a label, as loss_fn."""
    return [
        c
        for c in names_of(frame)
        if c in ("loss", "train_loss")
        or (c.startswith("loss_") and pd.api.types.is_numeric_dtype(frame[c]))
    ]


def in_nats(
    frame: pd.DataFrame, unit: str | None, sources: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The frame with losses in nats per token, and ``bpb`` where the bytes of a token are known.

    1 nat is 1/ln 2 bits; a loss of L nats per token of b bytes is L / (b ln 2) bits per byte.

    Raises
    ------
    UserError
        If the unit is unknown, asks for the bytes of a token that nobody told, or is not given for
        a column whose name contradicts nats.
    """
    if frame.empty:
        return frame, []
    if unit is not None and unit not in UNITS:
        raise UserError(f"unit = {unit!r} is not one of: {', '.join(UNITS)}")
    if unit is None:
        for source in sources:
            _refuse_other_measures(source)
    no_loss = frame[losses(frame)].isna().all(axis=1)  # as before the first step that was logged
    bytes_known = "bytes_per_token" in frame and (frame["bytes_per_token"].notna() | no_loss).all()
    if unit == "bits_per_byte" and not bytes_known:
        raise UserError(
            "unit = 'bits_per_byte': how many bytes has a token on average? Say"
            " columns.bytes_per_token=4.2, or name the column that holds it"
        )
    if unit in (None, "nats", "perplexity"):
        factor = np.ones(len(frame))
    else:
        bytes_each = frame["bytes_per_token"] if unit == "bits_per_byte" else 1.0
        factor = np.broadcast_to(math.log(2) * np.asarray(bytes_each, float), len(frame))
    if unit == "perplexity":
        frame = frame.assign(**{c: _log(frame[c]) for c in losses(frame)})
    else:
        frame = frame.assign(**{c: frame[c].to_numpy(float) * factor for c in losses(frame)})
    if bytes_known and "loss" in frame:
        frame["bpb"] = frame["loss"] / math.log(2) / frame["bytes_per_token"]
    text = f"losses were given in {unit} and are nats per token here"
    return frame, [] if unit in (None, "nats") else [text]


def _log(perplexity: pd.Series) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.where(np.isinf(perplexity), perplexity, np.log(perplexity.to_numpy(float)))


def _refuse_other_measures(source: str) -> None:
    measure = measure_of(source)
    if measure == "perplexity":
        raise UserError(
            f"column {source!r} sounds like a perplexity, which is no loss; its logarithm is: say"
            f" columns.loss='log({source})' or unit=perplexity (unit=nats if it is a loss)"
        )
    if measure == "bits":
        raise UserError(
            f"column {source!r} does not sound like nats per token; say unit=nats, unit=bits or"
            " unit=bits_per_byte"
        )


def check_plausible(runs: pd.DataFrame, unit: str | None) -> None:
    """Refuse losses that nobody trains to, unless their unit was said.

    Raises
    ------
    UserError
        If half of the final losses are worse than guessing: they are in another unit.
    """
    if unit is not None or "loss" not in runs:
        return
    losses = runs["loss"].dropna()
    worst = _GUESSING
    if "vocab" in runs and runs["vocab"].notna().any():
        worst = min(worst, 1.2 * math.log(max(float(runs["vocab"].max()), 2.0)))
    if len(losses) and losses.median() > worst:
        raise UserError(
            f"loss = {losses.median():.4g} is worse than guessing, in nats per token; if it is a"
            " perplexity say unit=perplexity, if bits unit=bits or unit=bits_per_byte, else"
            " unit=nats"
        )


def with_counts(
    runs: pd.DataFrame, n_count: str | None, tied: bool
) -> tuple[pd.DataFrame, list[str]]:
    """The counts of parameters that follow from those given.

    ``n_total`` = ``n_block`` + embedding (+ unembedding, unless it is the same matrix) and
    ``n_matmul`` = ``n_block`` + unembedding, each of vocab x width. Gains and biases are below
    this.

    Raises
    ------
    UserError
        If `n_count` is no count.
    """
    if n_count is not None and n_count not in COUNTS:
        raise UserError(f"n_count = {n_count!r} is not one of: {', '.join(COUNTS)}")
    if n_count and "N" in runs and n_count not in runs:
        runs = runs.assign(**{n_count: runs["N"]})
    shape_columns = [c for c in _FROM_SHAPE if c in runs]
    notes = []
    sized = {"vocab", "width"} <= set(runs) and pd.api.types.is_numeric_dtype(runs["width"])
    if shape_columns and sized:
        table = runs["vocab"] * runs["width"]
        more: dict[str, Any] = {
            "n_block": 0,
            "n_matmul": table,
            "n_total": table if tied else 2 * table,
        }
        block = runs[shape_columns[0]] - more[shape_columns[0]]
        counted = [c for c in more if c not in runs]
        runs = runs.assign(**{c: block + more[c] for c in counted})
        if counted:
            notes.append(
                f"{', '.join(counted)} were counted from {shape_columns[0]}, vocab and width"
            )
    elif "N" in runs and not shape_columns:
        notes.append(
            "N: nothing says whether embeddings are counted; say n_count=n_total,"
            " n_matmul or n_block"
        )
    if "N" not in runs:
        for count in ("n_matmul", "n_total", "n_block", "n_active"):
            if count in runs:
                runs = runs.assign(N=runs[count])
                break
    return runs, notes


def zero_based_runs(curves: pd.DataFrame) -> dict[str, bool]:
    """Whether each run's first step is number 0, so that its last, 199, is the 200th.

    It is where the last step is one less than those planned, or where steps are logged as 9, 19, 29
    and so on.
    """
    return {
        str(run): _zero_based(rows)
        for run, rows in curves[[c for c in ("run", "step", "steps") if c in curves]].groupby(
            "run", sort=False
        )
    }


def _zero_based(rows: pd.DataFrame) -> bool:
    step = rows["step"].to_numpy(float)
    if "steps" in rows and rows["steps"].notna().any():
        planned = float(rows["steps"].max())
        if planned in (step.max(), step.max() + 1):
            return planned == step.max() + 1
    gaps = np.diff(step)
    gap = float(np.median(gaps)) if len(gaps) > 1 else 0.0
    return gap >= 2 and gap % 1 == 0 and float(np.mean((step + 1) % gap == 0)) > 0.8


def with_tokens(
    frame: pd.DataFrame, zero_based: Mapping[str, bool], left: LeftOut
) -> tuple[pd.DataFrame, list[str]]:
    """Curves with ``tokens``: as logged, else steps x batch x context.

    Runs whose tokens go back are not read: they count since a restart, or a cell is wrong.
    """
    if "tokens" in frame and frame["tokens"].notna().any():
        frame = _without_tokens_that_go_back(frame, left)
        at = frame.groupby("run", sort=False)
        filled = at["tokens"].transform(lambda t: _between(frame.loc[t.index, "step"], t))
        return frame.assign(tokens=filled), []
    counted = [run for run, first in zero_based.items() if first]
    steps_done = frame["step"] + frame["run"].isin(counted)
    notes = []
    if counted:
        last = int(frame["step"][frame["run"] == counted[0]].max())
        notes = [
            f"steps count from 0 in {counted[0]!r}"
            + (f" and {len(counted) - 1} more" if len(counted) > 1 else "")
            + f": its step {last} is the {last + 1}th (zero_based=false if not)"
        ]
    if {"batch", "context"} <= set(frame):
        each = frame.groupby("run")[["batch", "context"]].transform("last")
        a_step = each["batch"] * each["context"]
        return frame.assign(tokens=steps_done * a_step), [
            "tokens are step x batch x context",
            *notes,
        ]
    if {"D", "steps"} <= set(frame):
        a_step = (frame["D"] / frame["steps"]).groupby(frame["run"]).transform("last")
        return frame.assign(tokens=steps_done * a_step), ["tokens are D x step / steps", *notes]
    return frame, []


def _without_tokens_that_go_back(frame: pd.DataFrame, left: LeftOut) -> pd.DataFrame:
    counted = frame[frame["tokens"].notna()]
    back = counted[counted.groupby("run", sort=False)["tokens"].diff() < 0]
    for run, rows in back.groupby("run", sort=False):
        row = rows.iloc[0]
        left.why[str(run)] = BadRun(
            f"run {str(run)!r}: its tokens fall to {short(row['tokens'])} at step {row['step']:,.0f} (row"
            f" {row['_row']:g}); they must count from the run's beginning: mend the row, or say"
            " columns.batch and columns.context to count them by step"
        )
    left.unless_all(frame["run"].nunique())
    return frame[~frame["run"].isin(back["run"])].reset_index(drop=True)


def _between(step: pd.Series, tokens: pd.Series) -> np.ndarray:
    """Tokens of every step, on straight lines between those known, and on along the outer two."""
    is_known = tokens.notna().to_numpy()
    if not is_known.any():
        return tokens.to_numpy()
    x, y, at = (
        step[is_known].to_numpy(float),
        tokens[is_known].to_numpy(float),
        step.to_numpy(float),
    )
    filled = np.interp(at, x, y)
    if len(x) > 1:
        slope = (y[-1] - y[0]) / (x[-1] - x[0])
        filled = np.where(at > x[-1], y[-1] + slope * (at - x[-1]), filled)
        filled = np.where(at < x[0], np.maximum(y[0] - slope * (x[0] - at), 0.0), filled)
    return filled


def resolution_of(values: pd.Series) -> float | None:
    """The step in which values were rounded, None if it is too fine to matter.

    Either all are multiples of it, or they repeat each other to the last digit as read-off values
    do: then it is the typical distance between neighbours.
    """
    values = values[np.isfinite(values)].to_numpy(float)
    if len(values) < 8:
        return None
    for step in (0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001):
        if np.allclose(values / step, np.round(values / step), rtol=0, atol=1e-6):
            return step
    distinct = np.unique(values)
    if len(values) >= 30 and 3 <= len(distinct) < 0.5 * len(values):
        return float(np.median(np.diff(distinct)))
    return None
