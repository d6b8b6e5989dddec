"""Imported studies: what ``scaling fit``, ``report`` and the notebooks read by their name.

    <outputs>/studies/<name>/imported.json              where they come from, what was decided, what
                                                        is asked
    <outputs>/studies/<name>/imported/runs.parquet
    <outputs>/studies/<name>/imported/curves.parquet
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from analysis.tables.numbers import as_floats
from scaling.records.atomic import read_json

IMPORT_VERSION = 1
MANIFEST = "imported.json"
N_COUNTS = ("n_block", "n_matmul", "n_total")


def manifests(outputs: str | Path, study: str | None) -> Iterator[Path]:
    """Manifests of the imported studies, or of one."""
    if study is None:
        yield from sorted(Path(outputs).glob(f"studies/*/{MANIFEST}"))
    elif (path := Path(outputs) / "studies" / study / MANIFEST).exists():
        yield path


def stored_runs(manifest: Path, n_count: str) -> pd.DataFrame:
    """The runs of an imported study, N counted as asked where that count is known."""
    _check(manifest)
    runs = pd.read_parquet(manifest.parent / "imported" / "runs.parquet")
    if n_count in runs and runs[n_count].notna().all():
        runs = runs.assign(N=runs[n_count], n_count=n_count)
    return as_floats(runs)


def stored_curves(manifest: Path) -> pd.DataFrame:
    """The curves of an imported study, named as those of records: ``loss`` is the training's."""
    _check(manifest)
    curves = pd.read_parquet(manifest.parent / "imported" / "curves.parquet")
    if "schedule" not in curves:
        curves = curves.assign(schedule="not told")
    given = {"loss": "validation_loss", "bpb": "validation_bpb", "train_loss": "loss"}
    return curves.rename(columns=given)


def _check(manifest: Path) -> None:
    version = read_json(manifest)["import_version"]
    if version != IMPORT_VERSION:
        raise ValueError(f"{manifest} has version {version}; this code reads {IMPORT_VERSION}: "
                         "import it again")
