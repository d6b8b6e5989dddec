"""Imported studies: what ``scaling fit``, ``report`` and the notebooks read by their name.

<outputs>/studies/<name>/imported.json              where they come from, what was decided, what
                                                    is asked
<outputs>/studies/<name>/imported/runs.parquet
<outputs>/studies/<name>/imported/curves.parquet
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.analysis.tables.numbers import as_floats
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.atomic import read_json
from scalinglab.scaling.records.damage import DamagedFile, Shape
from scalinglab.scaling.records.run_end import file_hash

IMPORT_VERSION = 1
MANIFEST = "imported.json"
_MANIFEST: Shape = {"import_version": int, "study": {"name": str, "answer": dict}}
N_COUNTS = ("n_block", "n_matmul", "n_total")
# Those, and the weights of n_matmul that one token passes through, which of dense networks are all.
COUNTS = (*N_COUNTS, "n_active")


def manifests(outputs: str | Path, study: str | None) -> Iterator[Path]:
    """Manifests of the imported studies, or of one."""
    if study is None:
        yield from sorted(Path(outputs).glob(f"studies/*/{MANIFEST}"))
    elif (path := Path(outputs) / "studies" / study / MANIFEST).exists():
        yield path


def stored_runs(manifest: Path, n_count: str) -> pd.DataFrame:
    """The runs of an imported study, N counted as asked where that count is known."""
    runs = _table(manifest, "runs")
    if n_count in runs and runs[n_count].notna().all():
        runs = runs.assign(N=runs[n_count], n_count=n_count)
    return as_floats(runs)


def stored_curves(manifest: Path) -> pd.DataFrame:
    """The curves of an imported study."""
    curves = _table(manifest, "curves")
    if "schedule" not in curves:
        curves = curves.assign(schedule="not told")
    return curves


def read_manifest(manifest: Path) -> dict[str, Any]:
    """The content of an imported.json.

    Raises
    ------
    UserError
        If it is damaged, or of another version.
    """
    content = read_json(manifest, _MANIFEST)
    if content["import_version"] != IMPORT_VERSION:
        raise UserError(
            f"{manifest} has version {content['import_version']}; this code reads "
            f"{IMPORT_VERSION}: import it again"
        )
    return content


def _table(manifest: Path, name: str) -> pd.DataFrame:
    """A table of an imported study; the hash of its file is that which was imported."""
    content = read_manifest(manifest)
    path = manifest.parent / "imported" / f"{name}.parquet"
    if not path.is_file():
        raise DamagedFile(path, "it is gone")
    hashes = content.get("tables")  # studies that were imported before have none
    if hashes is not None and hashes.get(path.name) != file_hash(path):
        raise DamagedFile(path, "it was changed after it had been imported")
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:  # pyarrow's are such
        raise DamagedFile(path, f"it is no parquet file ({error})") from error
