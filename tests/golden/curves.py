"""Loss curves of every model, optimizer, schedule and engine, with all their digits.

They are equal bit for bit on the machine that made them (``python -m tests.golden.compare``), and
to rounding elsewhere.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from tests.golden import cases, product

COLUMNS = ("lr", "loss", "grad_norm", "validation_loss")
PACK = {
    f"packed.{i}": {"seed": i, "optimizer.lr": 0.01 * (1 + i), "tokens": 64 * 10} for i in range(2)
}


def case_curves(outputs: Path, chosen: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Case -> its curve."""
    runs = product.train(outputs, chosen, {})
    return _named(runs, product.curves(outputs, "golden"))


def engine_curves(folder: Path, engines: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Way to execute -> the curve of the tiny run."""
    found = {}
    for name, execution in engines.items():
        outputs = Path(tempfile.mkdtemp(dir=folder))
        runs = product.train(outputs, {name: {"tokens": 64 * 10}}, execution)
        found |= _named(runs, product.curves(outputs, "golden"))
    return found


def pack_curves(outputs: Path) -> dict[str, Any]:
    """The curves of two members of a pack."""
    runs = product.train(outputs, PACK, {}, pack=2)
    return _named(runs, product.curves(outputs, "golden"))


def all_curves(folder: Path) -> dict[str, Any]:
    """Everything that can be trained here, and where that is."""
    engines = cases.ENGINES | cases.SLOW_ENGINES
    if product.has_gpu():
        engines |= cases.DEVICE_ENGINES
    return {
        "machine": product.where(),
        "cases": case_curves(folder / "cases", cases.trained()),
        "models": case_curves(folder / "models", cases.trained_models()),
        "engines": engine_curves(folder, engines) | pack_curves(folder / "pack"),
    }


def _named(runs: dict[str, str], curves: dict[str, pd.DataFrame]) -> dict[str, Any]:
    return {name: _plain(curves[run_id]) for name, run_id in sorted(runs.items())}


def _plain(curve: pd.DataFrame) -> dict[str, Any]:
    """Columns of numbers, a line each; of the validation what was measured."""
    return {name: " ".join(repr(float(v)) for v in curve[name].dropna()) for name in COLUMNS}


def numbers(curve: dict[str, str]) -> dict[str, list[float]]:
    """The columns of a curve as numbers."""
    return {name: [float(word) for word in text.split()] for name, text in curve.items()}
