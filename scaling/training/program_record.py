"""The output of a program in its folder, read strictly (docs/trainers.md has the contract)."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.model.stated import COUNTS, SIZES, STATED, flops_of_counts
from scalinglab.scaling.records.curve import Curve

COLUMNS = ("step", "loss", "grad_norm", "validation_loss")
REQUIRED = COLUMNS[:2]
FURTHER_LOSS = "loss."  # and the name of a validation set
METRIC = "metrics."  # and the name of a metric


class BadRecord(UserError):
    """A program broke the contract; the message says how, and what was expected."""


def read_curve(folder: Path, steps: int, final: dict[str, Any]) -> Curve:
    """The curve of a program, complete or up to its divergence.

    Parameters
    ----------
    folder : Path
        Holds ``curve.csv``.
    steps : int
        The run.
    final : dict
        Content of ``final.json``; its ``validation_loss`` belongs to the last step.

    Raises
    ------
    BadRecord
        If it is missing, malformed, of another length, or lacks the final validation loss.
    """
    rows = _rows(folder / "curve.csv")
    loss = np.array([r["loss"] for r in rows], np.float32)
    norm = np.array([r.get("grad_norm", math.nan) for r in rows], np.float32)
    validation = {int(r["step"]): r["validation_loss"] for r in rows if "validation_loss" in r}
    if "validation_loss" in final and rows:
        validation[len(rows)] = final["validation_loss"]
    curve = Curve(loss, norm, validation, _measured(rows, final))
    if curve.diverged_at() is not None and len(rows) <= steps:
        return curve
    if len(rows) != steps:
        raise BadRecord(f"curve.csv has {len(rows)} steps; the run has {steps}")
    if steps not in validation:
        raise BadRecord(
            f"the validation loss after the last step, {steps}, is missing: it belongs "
            "in the last row of curve.csv or in final.json"
        )
    return curve


def _measured(rows: list[dict[str, float]], final: dict[str, Any]) -> dict[int, dict[str, float]]:
    """Step -> column -> further losses and metrics; those of final.json are at the last step."""
    measured: dict[int, dict[str, float]] = {}
    for row in rows:
        columns = {name.removeprefix(METRIC): row[name] for name in row if _is_open(name)}
        if columns:
            measured[int(row["step"])] = columns
    losses = {FURTHER_LOSS + name: loss for name, loss in final.get("losses", {}).items()}
    if losses and rows:
        measured[len(rows)] = measured.get(len(rows), {}) | losses
    return measured


def _is_open(column: str) -> bool:
    """Whether a column is a further loss or a metric."""
    return column.startswith((FURTHER_LOSS, METRIC))


def _rows(path: Path) -> list[dict[str, float]]:
    """One dictionary a step, without empty cells."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise BadRecord(
            f"the program ended well but left no {path.name} in {path.parent}"
        ) from None
    reader = csv.DictReader(lines)
    names = [name.strip() for name in reader.fieldnames or []]
    if absent := [name for name in REQUIRED if name not in names]:
        raise BadRecord(
            f"{path.name} has no column {absent[0]!r}: its columns are "
            f"{', '.join(names) or 'none'}; known are {', '.join(COLUMNS)}, {FURTHER_LOSS}SET and "
            f"{METRIC}NAME"
        )
    columns = [name for name in names if name in COLUMNS or _is_open(name)]
    if twice := next((name for name in columns if columns.count(name) > 1), None):
        raise BadRecord(f"{path.name} has two columns called {twice!r}; each needs its own name")
    for name in filter(_is_open, names):
        _check_name(name.partition(".")[2], f"{path.name}: column {name!r}")
    reader.fieldnames = names
    rows = []
    for number, cells in enumerate(reader, 1):
        row = {
            name: _number(cells[name], name, number)
            for name in columns
            if (cells[name] or "").strip()
        }
        if row.get("step") != number:
            raise BadRecord(
                f"{path.name}: row {number} has step = {cells['step']!r}; expected is "
                f"{number}: one row a step, from 1"
            )
        if "loss" not in row:
            raise BadRecord(f"{path.name}: row {number} has no loss")
        rows.append(row)
    return rows


def read_measured(folder: Path) -> dict[int, float]:
    """Step -> validation loss of a curve that may still be growing.

    For forecasts: an incomplete last line and malformed rows are left out.
    """
    try:
        complete_lines, _, _ = (folder / "curve.csv").read_text().rpartition("\n")
    except OSError:
        return {}
    reader = csv.DictReader(complete_lines.splitlines())
    reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
    measured = {}
    for row in reader:
        try:
            measured[int(row["step"])] = float(row["validation_loss"])
        except (KeyError, TypeError, ValueError):
            continue
    return measured


def _number(text: str, name: str, row: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadRecord(
            f"curve.csv: row {row} has {name} = {text!r}; expected is a number"
        ) from None


def read_final(folder: Path) -> dict[str, Any]:
    """The content of ``final.json`` with its known keys checked; empty if there is none."""
    final = _json(folder / "final.json")
    kinds = {
        "validation_loss": float,
        "seconds": float,
        "tokens_per_second": float,
        "peak_memory_bytes": float,
        "started_at_step": int,
        "fingerprint": str,
        "versions": dict,
        "metrics": dict,
        "losses": dict,
        "counts": dict,
        "flops_per_token": float,
        "active": int,
    }
    for key, kind in kinds.items():
        if key in final and type(final[key]) not in ((int, float) if kind is float else (kind,)):
            names = {float: "a number", int: "a whole number", str: "a string", dict: "an object"}
            raise BadRecord(f"final.json: {key} = {final[key]!r}; expected is {names[kind]}")
    for key in ("metrics", "losses"):
        for name, value in final.get(key, {}).items():
            _check_name(name, f"final.json: a number of {key}")
            if not _is_finite(value):
                raise BadRecord(
                    f"final.json: {key}.{name} = {value!r}; expected is a finite number"
                )
    _check_stated(final)
    return final


def _check_name(name: str, where: str) -> None:
    if not name.strip():
        raise BadRecord(f"{where} has no name; each has one, as c4 or hellaswag")


def _is_finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _check_stated(final: dict[str, Any]) -> None:
    """Check the counts and FLOPs that a program reports."""
    rate = final.get("flops_per_token", 1.0)
    if not _is_finite(rate) or rate <= 0:
        raise BadRecord(
            f"final.json: flops_per_token = {rate!r}; expected is a finite number above 0, the "
            "FLOPs of one trained token, forward and backward"
        )
    counts = final.get("counts", {})
    for name, value in counts.items():
        if name not in COUNTS:
            raise BadRecord(
                f"final.json: counts.{name} is no count; known are {', '.join(COUNTS)} (any other"
                " number belongs in metrics)"
            )
        if type(value) is not int or value < (name in SIZES):
            raise BadRecord(
                f"final.json: counts.{name} = {value!r}; expected is a whole number of parameters"
            )
    if "counts" in final and not set(counts) & set(SIZES):
        raise BadRecord(
            f"final.json: counts = {counts!r} has no N; give at least one of {', '.join(SIZES)}"
        )
    for less, more in pairwise(("n_block", "n_matmul", "n_total")):
        if counts.get(less, 0) > counts.get(more, math.inf):
            raise BadRecord(
                f"final.json: counts.{less} = {counts[less]} is larger than counts.{more} ="
                f" {counts[more]}, which contains it"
            )
    active = final.get("active", counts.get("n_active", 1))
    if active < 1 or active != counts.get("n_active", active):
        raise BadRecord(
            f"final.json: active = {active}; expected is the count of parameters that a token "
            f"passes through, above 0 and equal to counts.n_active where that is given"
        )


def stated_counts(final: dict[str, Any], configured: Mapping[str, int]) -> dict[str, int] | None:
    """The parameter counts that a program reports; None if it reports none.

    Counts that it does not report are unknown, unless it reports only ``active``: then the other
    counts are those of the configuration.
    """
    counts: dict[str, int] = dict(final.get("counts", {}))
    if "active" in final:
        return (counts or dict(configured)) | {"n_active": final["active"]}
    return counts or None


def stated_flops(
    final: dict[str, Any], counts: Mapping[str, int] | None
) -> dict[str, float] | None:
    """FLOPs of a trained token as the program reports them, or from its counts; else None."""
    if "flops_per_token" in final:
        return {STATED: final["flops_per_token"]}
    return None if counts is None else flops_of_counts(counts)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadRecord(f"{path.name} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise BadRecord(f"{path.name} holds no object but {values!r}")
    return values


def read_progress(folder: Path) -> dict[str, float]:
    """The progress that a program reports, for display only: empty if it is malformed."""
    try:
        values = json.loads((folder / "progress.json").read_text())
        return {k: float(values[k]) for k in ("step", "loss", "tokens_per_second") if k in values}
    except (OSError, ValueError, TypeError):
        return {}
