"""A study's finished runs as two parquet files, for whatever reads tables.

    <outputs>/studies/<name>/results/runs.parquet     one row for each run: its whole record
    <outputs>/studies/<name>/results/curves.parquet   one row for each step of each run

Both can be rebuilt from the records at any time; the analysis reads the records themselves. A curve
that was collected before is not read again if its hash is the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from scalinglab.scaling.model.flops import flops_per_token
from scalinglab.scaling.model.stated import size
from scalinglab.scaling.probes.folder import columns_at
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.atomic import read_json, save_atomic, write_json
from scalinglab.scaling.records.curve import COLUMNS, TABLE_NAMES
from scalinglab.scaling.records.damage import DamagedFile, tell
from scalinglab.scaling.records.notes import notes_text
from scalinglab.scaling.records.run_end import Done, file_hash
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.schedule.pieces import plain
from scalinglab.scaling.text.flatten import flatten
from scalinglab.sweeps.store.stored_plan import StoredRun, read_plan, study_folder

CURVE_TYPES = {c: pa.int64() if c in ("step", "tokens") else pa.float64() for c in COLUMNS}
CURVE_SCHEMA = pa.schema(
    {"run_id": pa.string(), **{TABLE_NAMES.get(c, c): kind for c, kind in CURVE_TYPES.items()}}
)
FIRST = ("run_id", "role", "status", "N", "D", "C", "loss", "bpb", "lr", "schedule", "seed")
HASHES = b"sha256 of curves"  # in the metadata of curves.parquet


def collect(outputs: Path, name: str) -> tuple[Path, Path]:
    """Write ``runs.parquet`` and ``curves.parquet`` of a study, each whole or not at all.

    A run whose record or curve was changed after its end is left out with a warning.

    Parameters
    ----------
    outputs, name
        Where the study's plan lies.

    Returns
    -------
    tuple of Path
        The files. Diverged runs are among the others, with the ``status`` "diverged" and the
        finite part of their curves.

    Raises
    ------
    ConfigError
        If there is no such study.
    """
    results = study_folder(outputs, name) / "results"
    finished = [
        ended for run in read_plan(outputs, name).runs if (ended := _finished(run)) is not None
    ]
    runs = _table([row for _, row, _ in finished])
    hashes = {r.run_id: ending.curve_hash for r, _, ending in finished}
    curves, before = _collected(results / "curves.parquet")
    if hashes != before or not hashes:
        same = {i for i, curve_hash in before.items() if hashes.get(i) == curve_hash}
        new = [r.folder for r, _, _ in finished if r.run_id not in same]
        unchanged = curves.filter(pc.is_in(curves["run_id"], pa.array(sorted(same), pa.string())))
        curves = pa.concat_tables([unchanged, *_curves(new)])
        curves = curves.replace_schema_metadata({HASHES: json.dumps(hashes)})
        save_atomic(results / "curves.parquet", lambda aside: pq.write_table(curves, aside))
        write_json(
            _sums(results / "curves.parquet"), {"sha256": file_hash(results / "curves.parquet")}
        )
    save_atomic(results / "runs.parquet", lambda aside: runs.to_parquet(aside, index=False))
    return results / "runs.parquet", results / "curves.parquet"


def _finished(run: StoredRun) -> tuple[StoredRun, dict[str, Any], Done] | None:
    """A finished run, its row and its DONE; None if it is not finished, or is damaged."""
    done = run.folder.done()
    if done is None:
        return None
    try:
        run.folder.curve_file()
        return run, _row(run), done
    except DamagedFile as error:
        tell(error, "its run is left out")
        return None


def _row(run: StoredRun) -> dict[str, Any]:
    """The usual columns, then everything in the record under its dotted key."""
    record = run.folder.record()
    spec, final = record.spec, record.final
    # The pieces of the schedule are a list of any length: one column holds them as text.
    pieces = json.dumps([plain(piece) for piece in spec.pieces])
    probed: dict[str, Any] = dict(columns_at(run.folder, record.steps))
    if notes := notes_text(run.folder):
        probed["notes"] = notes
    everything = probed | flatten(
        {**record.plain, "science": {**spec.science, "schedule": pieces}}, lists=True
    )
    return {
        "run_id": record.run_id,
        "role": ",".join(run.roles),
        "status": record.status,
        "N": size(spec.counts),
        "D": record.tokens,
        "C": flops_per_token(spec.flops) * record.tokens,
        "loss": final.validation_loss,
        "bpb": final.validation_bpb,
        "lr": spec.lr_peak,
        "schedule": spec.schedule_kind,
        "seed": spec.seed,
        **{key: value for key, value in everything.items() if key not in FIRST},
    }


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a table; a column with values of several types, as of an option, becomes text."""
    table = pd.DataFrame(rows, columns=None if rows else list(FIRST))
    for name in filter(lambda n: pd.api.types.is_object_dtype(table[n]), table):
        kinds = {type(v) for v in table[name] if v is not None}
        if len(kinds) > 1:
            table[name] = [None if v is None else str(v) for v in table[name]]
    return table


def _collected(path: Path) -> tuple[pa.Table, dict[str, str]]:
    """Curves that were collected before, and run_id -> hash of each.

    Both are empty if the file is not as it was written: then all curves are read again.
    """
    try:
        if read_json(_sums(path), {"sha256": str})["sha256"] != file_hash(path):
            return CURVE_SCHEMA.empty_table(), {}
    except (FileNotFoundError, DamagedFile):
        return CURVE_SCHEMA.empty_table(), {}
    table = pq.read_table(path)
    if table.schema.names != CURVE_SCHEMA.names:  # written when columns had other names
        return CURVE_SCHEMA.empty_table(), {}
    return table.replace_schema_metadata(None), json.loads(table.schema.metadata[HASHES])


def _sums(path: Path) -> Path:
    """The file that holds the hash of a collected file."""
    return path.with_suffix(".sha256.json")


def _curves(folders: Iterable[RunFolder]) -> list[pa.Table]:
    with ThreadPoolExecutor(machine.cores()) as readers:
        return list(readers.map(_curve, folders))


def _curve(folder: RunFolder) -> pa.Table:
    """A curve with the same bits: Arrow reads decimals to the nearest double, as Python does."""
    options = pyarrow.csv.ConvertOptions(column_types=CURVE_TYPES, null_values=[""])
    read = pyarrow.csv.ReadOptions(use_threads=False)
    table = pyarrow.csv.read_csv(folder.curve_file(), read_options=read, convert_options=options)
    names = pa.array([folder.run_id] * len(table), pa.string())
    table = table.rename_columns([TABLE_NAMES.get(name, name) for name in table.schema.names])
    return table.add_column(0, "run_id", names).cast(CURVE_SCHEMA)
