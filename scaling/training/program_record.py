"""What a program leaves in its folder, read strictly (docs/trainers.md has the contract)."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.record import Curve

COLUMNS = ("step", "loss", "grad_norm", "validation_loss")
REQUIRED = COLUMNS[:2]


class BadRecord(UserError):
    """A program kept the contract in part only: says what is wrong and what was expected."""


def read_curve(folder: Path, steps: int, final: dict[str, Any]) -> Curve:
    """The curve that a program left, whole or up to where it diverged.

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
    measured = {int(r["step"]): r["validation_loss"] for r in rows if "validation_loss" in r}
    if "validation_loss" in final and rows:
        measured[len(rows)] = final["validation_loss"]
    curve = Curve(loss, norm, measured)
    if curve.diverged_at() is not None and len(rows) <= steps:
        return curve
    if len(rows) != steps:
        raise BadRecord(f"curve.csv has {len(rows)} steps; the run has {steps}")
    if steps not in measured:
        raise BadRecord(
            f"the validation loss after the last step, {steps}, is missing: it belongs "
            "in the last row of curve.csv or in final.json"
        )
    return curve


def _rows(path: Path) -> list[dict[str, float]]:
    """One dictionary a step; empty cells are left out."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        raise BadRecord(
            f"the program ended well but left no {path.name} in {path.parent}"
        ) from None
    reader = csv.DictReader(lines)
    names = [name.strip() for name in reader.fieldnames or []]
    if missing := [name for name in REQUIRED if name not in names]:
        raise BadRecord(
            f"{path.name} has no column {missing[0]!r}: its columns are "
            f"{', '.join(names) or 'none'}; known are {', '.join(COLUMNS)}"
        )
    reader.fieldnames = names
    rows = []
    for number, values in enumerate(reader, 1):
        row = {
            name: _number(values[name], name, number)
            for name in COLUMNS
            if name in names and (values[name] or "").strip()
        }
        if row.get("step") != number:
            raise BadRecord(
                f"{path.name}: row {number} has step = {values['step']!r}; expected is "
                f"{number}: one row a step, from 1"
            )
        if "loss" not in row:
            raise BadRecord(f"{path.name}: row {number} has no loss")
        rows.append(row)
    return rows


def read_measured(folder: Path) -> dict[int, float]:
    """Step -> validation loss of a curve that may still be growing.

    For forecasts: the last line counts once it is whole, and what is not in order is left out.
    """
    try:
        whole, _, _ = (folder / "curve.csv").read_text().rpartition("\n")
    except OSError:
        return {}
    reader = csv.DictReader(whole.splitlines())
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
    """What a program says of itself in ``final.json``, if it does; known keys are checked."""
    values = _json(folder / "final.json")
    kinds = {
        "validation_loss": float,
        "seconds": float,
        "tokens_per_second": float,
        "peak_memory_bytes": float,
        "started_at_step": int,
        "fingerprint": str,
        "versions": dict,
        "metrics": dict,
    }
    for key, kind in kinds.items():
        if key in values and type(values[key]) not in ((int, float) if kind is float else (kind,)):
            names = {float: "a number", int: "a whole number", str: "a string", dict: "an object"}
            raise BadRecord(f"final.json: {key} = {values[key]!r}; expected is {names[kind]}")
    for name, value in values.get("metrics", {}).items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise BadRecord(f"final.json: metrics.{name} = {value!r}; expected is a finite number")
    return values


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
    """What a program last said of its progress; for display, so what is not in order is nothing."""
    try:
        values = json.loads((folder / "progress.json").read_text())
        return {k: float(values[k]) for k in ("step", "loss", "tokens_per_second") if k in values}
    except (OSError, ValueError, TypeError):
        return {}
