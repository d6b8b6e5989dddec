"""JSON: one object a line, a list of records, columns, and the documents of known programs.

Known documents: Hugging Face's ``trainer_state.json`` (its ``log_history``), Megatron's golden
values (metrics with ``start_step``, ``step_interval``, ``values``), runs with their ``history`` as
trackers give them, one nested record a file as open_lm keeps its models, and result files of
lm-evaluation-harness.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from scalinglab.analysis.importers.formats.harness import harness_results, is_results
from scalinglab.analysis.importers.formats.raw import Raw, flatten, of_records
from scalinglab.analysis.importers.formats.registry import (
    Request,
    checked_columns,
    register,
    stem_of,
    suffix_of,
    text_of,
)
from scalinglab.scaling.errors import UserError

_LINES = (".jsonl", ".ndjson", ".jsonlines")


@register("JSON (.json, .jsonl)", lambda path: suffix_of(path) in (".json", *_LINES))
def read_json_file(path: Path, request: Request) -> list[Raw]:
    """The tables of a JSON file.

    Raises
    ------
    UserError
        If the file is empty or has no rows.
    """
    text = text_of(path)
    if not text.strip():
        raise UserError(f"{path} is empty")
    document = None if suffix_of(path) in _LINES else _document(text)
    if document is None:
        return [_of_lines(text, path)]
    raws = _of_document(document, path)
    if all(raw.frame.empty for raw in raws):
        raise UserError(f"{path} has no rows")
    return raws


def _document(text: str) -> Any:
    """What the text is as one document; None if it is several."""
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None


def _of_lines(text: str, path: Path) -> Raw:
    records: list[Mapping[str, Any]] = []
    rows, notes = [], []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            if number == len(lines) and records:  # no line end after it
                notes.append(f"{path.name}: line {number}, torn off, was left out")
                continue
            document = _document(text) if not records else None
            if isinstance(document, list | Mapping):
                return _of_document(document, path)[0]
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
            raise UserError(f"{path}, line {number}: no JSON ({reason})") from None
        if not isinstance(record, Mapping):
            raise UserError(f"{path}, line {number}: holds no object in braces, as each line must")
        records.append(record)
        rows.append(number)
    if not records:
        raise UserError(f"{path} has no rows")
    frame = checked_columns(of_records(records), str(path))
    return Raw(
        frame, stem_of(path), rows[0], notes=tuple(notes), rows=pd.array(rows).to_numpy(), path=path
    )


def _of_document(document: Any, path: Path) -> list[Raw]:
    if isinstance(document, Mapping) and isinstance(document.get("log_history"), list):
        return [_trainer_state(document, path)]
    if is_results(document):
        harness = harness_results(document, str(path))
        row = of_records([{"run": harness.name}]).assign(**harness.columns)
        return [_raw(row, path, first=0, notes=harness.notes, beside=True)]
    if isinstance(document, list):
        if not document or not all(isinstance(r, Mapping) for r in document):
            raise UserError(f"{path}: a list of something else than objects is no table")
        if all(isinstance(r.get("history"), list) for r in document):
            return runs_with_history(document, path)
        return [_raw(of_records(document), path, first=0)]
    if not isinstance(document, Mapping) or not document:
        raise UserError(f"{path}: holds no table: expected are an object or a list of objects")
    if isinstance(document.get("runs"), list) and len(document) <= 3:
        return _of_document(document["runs"], path)
    if {"columns", "data"} <= set(document) and isinstance(document["data"], list):
        return [_split(document, path)]
    values = list(document.values())
    if all(isinstance(v, Mapping) and "values" in v for v in values):
        return [_golden_values(document, path)]
    if all(isinstance(v, list) for v in values):
        return [_columns(document, path)]
    if len(values) > 1 and all(isinstance(v, Mapping) for v in values):
        return [_of_mappings(document, path)]
    facts = dict(flatten(document))
    return [
        Raw(
            of_records([document]),
            str(facts.get("name") or stem_of(path)),
            0,
            path=path,
            one_run=False,
        )
    ]


def _raw(frame: pd.DataFrame, path: Path, first: int, **more: Any) -> Raw:
    return Raw(checked_columns(frame, str(path)), stem_of(path), first, path=path, **more)


def _trainer_state(document: Mapping[str, Any], path: Path) -> Raw:
    """Hugging Face's Trainer: ``loss`` is that of training, the last row a summary of the run."""
    rows = [
        dict(row)
        for row in document["log_history"]
        if isinstance(row, Mapping) and "train_runtime" not in row
    ]
    for row in rows:
        if "loss" in row and "train_loss" not in row:
            row["train_loss"] = row.pop("loss")
    steps = document.get("max_steps")
    facts = {"steps": steps} if steps else {}
    folder = path.absolute().parent
    name = (folder.parent if folder.name.startswith("checkpoint-") else folder).name
    frame = checked_columns(of_records(rows), str(path))
    return Raw(frame, name, 0, facts=facts, path=path, one_run=True)


def _golden_values(document: Mapping[str, Any], path: Path) -> Raw:
    columns = {}
    for name, metric in document.items():
        values = metric["values"]
        if isinstance(values, Mapping):
            steps = [_step(step, path, name) for step in values]
            cells = list(values.values())
        elif isinstance(values, list):
            start, interval = metric.get("start_step", 1), metric.get("step_interval", 1)
            steps, cells = [start + interval * k for k in range(len(values))], values
        else:
            raise UserError(f"{path}: {name!r} has no list of values")
        plain = [str(c) if isinstance(c, float) and c != c else c for c in cells]
        columns[name] = pd.Series(plain, index=steps, dtype=object)
    frame = pd.DataFrame(columns)
    frame = frame.where(frame.notna(), None).rename_axis("step").reset_index()
    return _raw(frame, path, 0, one_run=True)


def _step(step: str, path: Path, name: str) -> float:
    try:
        return float(step)
    except ValueError:
        raise UserError(f"{path}: {name!r} has a value at {step!r}, which is no step") from None


def _columns(document: Mapping[str, Sequence[Any]], path: Path) -> Raw:
    lengths = {name: len(values) for name, values in document.items()}
    if len(set(lengths.values())) > 1:
        a, b = sorted(lengths, key=lengths.__getitem__)[:: len(lengths) - 1][:2]
        raise UserError(
            f"{path}: its columns have different lengths ({a!r} {lengths[a]}, {b!r} {lengths[b]})"
        )
    records = [
        dict(zip(document, row, strict=True)) for row in zip(*document.values(), strict=True)
    ]
    return _raw(of_records(records), path, first=0)


def _split(document: Mapping[str, Any], path: Path) -> Raw:
    names = document["columns"]
    bad = [
        k
        for k, row in enumerate(document["data"])
        if not isinstance(row, list) or len(row) != len(names)
    ]
    if bad:
        raise UserError(f"{path}: row {bad[0]} of its data has not {len(names)} cells")
    records = [dict(zip(map(str, names), row, strict=True)) for row in document["data"]]
    return _raw(of_records(records), path, first=0)


def _of_mappings(document: Mapping[str, Mapping[str, Any]], path: Path) -> Raw:
    """Columns of ``{row: cell}``, or records by the names of their runs."""
    inner = {key for value in document.values() for key in value}
    if all(str(key).isdecimal() for key in inner):
        order = sorted(inner, key=int)
        records = [{c: document[c].get(k) for c in document} for k in order]
    else:
        records = [{"run": name, **record} for name, record in document.items()]
    return _raw(of_records(records), path, first=0)


def runs_with_history(runs: Sequence[Mapping[str, Any]], path: Path | None = None) -> list[Raw]:
    """Runs as trackers give them: each with ``history`` (rows), and maybe ``id, name, state,
    config``.
    """
    raws = []
    for k, run in enumerate(runs):
        name = str(run.get("name") or run.get("id") or f"run {k}")
        key = str(run.get("id") or name)
        facts: dict[str, object] = {"run": key, "run_name": name}
        if run.get("state") is not None:
            facts["status"] = str(run["state"])
        config = run.get("config")
        facts |= {
            k: v
            for k, v in flatten(config if isinstance(config, Mapping) else {})
            if v is not None and k not in facts
        }
        rows = [r for r in run["history"] if isinstance(r, Mapping)]
        label = name if name == key else f"{name} ({key})"
        raws.append(Raw(of_records(rows), f"run {label}", 0, facts, path=path, one_run=True))
    return raws
