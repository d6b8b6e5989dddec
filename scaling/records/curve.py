"""The curve of a run: losses by step, as arrays in memory and as a CSV (gzip) on disk.

The file has one row a step: ``step, tokens, lr, loss, grad_norm`` and, where it was measured,
``validation_loss`` and ``validation_bpb``. Numbers are written so that reading them gives the same
bits, and equal curves are equal files.
"""

from __future__ import annotations

import gzip
import io
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scalinglab.scaling.records.atomic import write_atomic

COLUMNS = ("step", "tokens", "lr", "loss", "grad_norm", "validation_loss", "validation_bpb")


# What tables call them, where `loss` is the validation loss, as it is in the table of runs.
TABLE_NAMES = {"loss": "train_loss", "validation_loss": "loss", "validation_bpb": "bpb"}


@dataclass(frozen=True)
class Curve:
    """The losses of a run up to its present step.

    Attributes
    ----------
    loss, grad_norm : ndarray
        float32 (steps,): training loss before each update, gradient norm before clipping.
    validation : dict
        Step -> validation loss in nats per token after that many updates.
    measured : dict
        Step -> column -> number, of further measurements after that many updates.
    """

    loss: np.ndarray
    grad_norm: np.ndarray
    validation: dict[int, float]
    measured: dict[int, dict[str, float]] = field(default_factory=dict)

    @staticmethod
    def empty() -> Curve:
        """The curve of a run that has not started."""
        return Curve(np.empty(0, np.float32), np.empty(0, np.float32), {})

    def diverged_at(self) -> int | None:
        """Number of updates after which a loss is not finite (training or validation), or None."""
        bad = {int(i) for i in np.flatnonzero(~np.isfinite(self.loss))}
        bad |= {step for step, loss in self.validation.items() if not np.isfinite(loss)}
        return min(bad, default=None)

    def finite_part(self) -> Curve:
        """The curve up to where it diverged."""
        end = self.diverged_at()
        validation = {s: v for s, v in self.validation.items() if np.isfinite(v)}
        measured = {s: v for s, v in self.measured.items() if end is None or s <= end}
        return Curve(self.loss[:end], self.grad_norm[:end], validation, measured)


def measured_columns(measured: dict[int, dict[str, float]]) -> dict[str, list[float | None]]:
    """Measurements as columns of equal length, the first is ``step``; None for missing numbers."""
    names = list(dict.fromkeys(name for row in measured.values() for name in row))
    rows = sorted(measured.items())
    columns: dict[str, list[float | None]] = {"step": [step for step, _ in rows]}
    for name in names:
        numbers = (row.get(name, math.nan) for _, row in rows)
        columns[name] = [number if math.isfinite(number) else None for number in numbers]
    return columns


def bits_per_byte(loss: float, bytes_per_token: float) -> float:
    """Bits per byte from nats per token."""
    return loss / math.log(2) / bytes_per_token


def curve_text(curve: Curve, lr: np.ndarray, tokens_per_step: int, bytes_per_token: float) -> str:
    """The curve as CSV; row i is update i (from 1)."""
    file = io.StringIO()
    file.write(",".join(COLUMNS) + "\n")
    for i, (loss, norm) in enumerate(zip(curve.loss, curve.grad_norm, strict=True)):
        step = i + 1
        row = f"{step},{step * tokens_per_step},{float(lr[i])!r},{_text(loss)},{_text(norm)}"
        validation = curve.validation.get(step)
        if validation is None:
            file.write(f"{row},,\n")
        else:
            bpb = bits_per_byte(validation, bytes_per_token)
            file.write(f"{row},{validation!r},{bpb!r}\n")
    return file.getvalue()


def _text(value: np.float32) -> str:
    """Shortest decimal that is this float32 again; empty where it is not finite."""
    return str(value) if np.isfinite(value) else ""


def write_curve(path: Path, text: str) -> None:
    """Compress and write a curve; equal curves give equal files."""
    write_atomic(path, gzip.compress(text.encode(), mtime=0))
