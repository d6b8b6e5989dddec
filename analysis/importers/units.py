"""Losses in nats per token, sizes with and without embeddings, tokens from steps."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis.tables.imported import N_COUNTS

UNITS = ("nats", "bits", "bits_per_byte")


def losses(frame: pd.DataFrame) -> list[str]:
    """Columns that hold a loss."""
    return [c for c in frame if c in ("loss", "train_loss") or str(c).startswith("loss_")]


def in_nats(
    frame: pd.DataFrame, unit: str | None, sources: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """The frame with losses in nats per token, and ``bpb`` where the bytes of a token are known.

    1 nat is 1/ln 2 bits; a loss of L nats per token of b bytes is L / (b ln 2) bits per byte.

    Raises
    ------
    ValueError
        If the unit is unknown, asks for the bytes of a token that nobody told, or is not given for
        a column whose name contradicts nats.
    """
    if frame.empty:
        return frame, []
    if unit is not None and unit not in UNITS:
        raise ValueError(f"unit = {unit!r} is not one of: {', '.join(UNITS)}")
    if unit is None:
        odd = [s for s in sources if any(w in s.lower() for w in ("bpb", "bits", "bpc", "ppl"))]
        if odd:
            raise ValueError(
                f"column {odd[0]!r} does not sound like nats per token; say unit=nats, unit=bits or"
                " unit=bits_per_byte (a perplexity must be made a loss first: its logarithm)"
            )
    bytes_known = "bytes_per_token" in frame and frame["bytes_per_token"].notna().all()
    if unit == "bits_per_byte" and not bytes_known:
        raise ValueError(
            "unit = 'bits_per_byte': how many bytes has a token on average? Say"
            " columns.bytes_per_token=4.2, or name the column that holds it"
        )
    if unit in (None, "nats"):
        factor = np.ones(len(frame))
    else:
        bytes_each = frame["bytes_per_token"] if unit == "bits_per_byte" else 1.0
        factor = np.broadcast_to(math.log(2) * np.asarray(bytes_each, float), len(frame))
    frame = frame.assign(**{c: frame[c].to_numpy(float) * factor for c in losses(frame)})
    if bytes_known and "loss" in frame:
        frame["bpb"] = frame["loss"] / math.log(2) / frame["bytes_per_token"]
    said = f"losses were given in {unit} and are nats per token here"
    return frame, [] if unit in (None, "nats") else [said]


def with_counts(
    runs: pd.DataFrame, n_count: str | None, tied: bool
) -> tuple[pd.DataFrame, list[str]]:
    """The counts of parameters that follow from those given.

    ``n_total`` = ``n_block`` + embedding (+ unembedding, unless it is the same matrix) and
    ``n_matmul`` = ``n_block`` + unembedding, each of vocab x width. Gains and biases are below
    this.

    Raises
    ------
    ValueError
        If `n_count` is no count.
    """
    if n_count is not None and n_count not in N_COUNTS:
        raise ValueError(f"n_count = {n_count!r} is not one of: {', '.join(N_COUNTS)}")
    if n_count and "N" in runs and n_count not in runs:
        runs = runs.assign(**{n_count: runs["N"]})
    known = [c for c in N_COUNTS if c in runs]
    notes = []
    if known and {"vocab", "width"} <= set(runs):
        table = runs["vocab"] * runs["width"]
        more = {"n_block": 0, "n_matmul": table, "n_total": table if tied else 2 * table}
        block = runs[known[0]] - more[known[0]]
        runs = runs.assign(**{c: block + more[c] for c in N_COUNTS if c not in runs})
        notes.append(f"{', '.join(c for c in N_COUNTS if c not in known)} were counted from"
                     f" {known[0]}, vocab and width")  # fmt: skip
    elif "N" in runs and not known:
        notes.append("N: nothing says whether embeddings are counted; say n_count=n_total,"
                     " n_matmul or n_block")  # fmt: skip
    if "N" not in runs:
        for count in ("n_matmul", "n_total", "n_block"):
            if count in runs:
                runs = runs.assign(N=runs[count])
                break
    return runs, notes


def with_tokens(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Curves with ``tokens``: as logged, else steps x batch x context."""
    if "tokens" in frame and frame["tokens"].notna().any():
        at = frame.groupby("run", sort=False)
        filled = at["tokens"].transform(lambda t: _between(frame.loc[t.index, "step"], t))
        return frame.assign(tokens=filled), []
    if {"batch", "context"} <= set(frame):
        a_step = frame.groupby("run")[["batch", "context"]].transform("last").prod(axis=1)
        return frame.assign(tokens=frame["step"] * a_step), ["tokens are step x batch x context"]
    if {"D", "steps"} <= set(frame):
        a_step = (frame["D"] / frame["steps"]).groupby(frame["run"]).transform("last")
        return frame.assign(tokens=frame["step"] * a_step), ["tokens are D x step / steps"]
    return frame, []


def _between(step: pd.Series, tokens: pd.Series) -> np.ndarray:
    known = tokens.notna().to_numpy()
    if not known.any():
        return tokens.to_numpy()
    return np.interp(step, step[known], tokens[known])


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
