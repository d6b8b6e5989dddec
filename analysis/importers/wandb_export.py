"""wandb: charts exported as CSV, and runs of its API.

A chart's CSV has a column for the x-axis and, for each run, ``NAME - METRIC`` with ``__MIN`` and
``__MAX`` beside it. The API's object is handed in: nothing here imports wandb. What it gives with
`history` is a sample; `scan_history` gives every row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from analysis.importers.raw import Raw
from analysis.importers.reading import Imported, assemble

_CHART = re.compile(r"^(?P<run>.+) - (?P<metric>.+)$")
_ASIDE = ("__MIN", "__MAX")


def is_chart(frame: pd.DataFrame) -> bool:
    """Whether a table is a chart that wandb exported."""
    names = [str(c) for c in frame.columns]
    return any(n.endswith("__MIN") for n in names) and any(_CHART.match(n) for n in names)


def read_chart(raw: Raw) -> Raw:
    """The chart as one row a run and step."""
    axis = str(raw.frame.columns[0])
    parts = []
    for column in raw.frame.columns[1:]:
        found = _CHART.match(str(column))
        if found is None or str(column).endswith(_ASIDE) or found["metric"] == "_step":
            continue
        cells = raw.frame[[axis, column]].rename(columns={column: found["metric"]})
        empty = (cells[found["metric"]].astype(str).str.strip() == "").to_numpy()
        parts.append(cells[~empty].assign(run=found["run"]))
    if not parts:
        raise ValueError(f"{raw.name}: no column is called RUN - METRIC, as wandb's exports are")
    note = f"{raw.name}: a wandb chart; its points may be samples of what was logged"
    frame = pd.concat(parts, ignore_index=True)
    return Raw(frame.where(frame.notna(), ""), raw.name, raw.first, notes=(note,))


def read_wandb(
    runs: Iterable[Any], *, columns: Mapping[str, str | float] | None = None, **options: Any
) -> Imported:
    """Read runs of wandb's API: ``analysis.read_wandb(wandb.Api().runs("entity/project"))``.

    Parameters
    ----------
    runs : iterable of wandb runs
        Each with ``id, name, state, config`` and ``scan_history()``.
    columns, **options
        As in `read_runs`. A run's configuration joins its rows, nested keys with dots.

    Raises
    ------
    ValueError
        As `read_runs`; or if there are no runs, or a run has no rows.
    """
    raws = []
    for run in runs:
        rows = list(run.scan_history())
        if not rows:
            raise ValueError(f"wandb run {run.name!r} ({run.id}) has no history")
        facts = {"run": run.id, "status": run.state, "run_name": run.name, **_flat(run.config)}
        raws.append(Raw(pd.DataFrame(rows), f"wandb run {run.name}", first=0, facts=facts))
    if not raws:
        raise ValueError("wandb: there are no such runs")
    return assemble(raws, columns=columns, **options)


def _flat(config: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            flat |= _flat(value, name)
        elif isinstance(value, str | int | float | bool):
            flat[name] = value
    return flat
