"""Charts that wandb exported: an x-axis and, for each run, ``NAME - METRIC``.

``NAME - METRIC__MIN`` and ``__MAX`` stand beside it, and ``NAME - _step`` where the axis is
another than the step.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pandas as pd

from scalinglab.analysis.importers.formats.raw import Raw
from scalinglab.scaling.errors import UserError

_CHART = re.compile(r"^(?P<run>.+) - (?P<metric>.+)$")
_ASIDE = ("__MIN", "__MAX")


def is_chart(frame: pd.DataFrame) -> bool:
    """Whether a table is a chart that wandb exported."""
    names = [str(c) for c in frame.columns]
    return any(n.endswith("__MIN") for n in names) and any(_CHART.match(n) for n in names)


def read_chart(raw: Raw) -> Raw:
    """The chart as one row per run and point of its axis.

    Raises
    ------
    UserError
        If no column is called as in wandb's exports.
    """
    axis = str(raw.frame.columns[0])
    columns: dict[str, dict[str, str]] = {}
    for column in map(str, raw.frame.columns[1:]):
        match = _CHART.match(column)
        if match is not None and not column.endswith(_ASIDE):
            columns.setdefault(match["run"], {})[match["metric"]] = column
    parts = []
    for run, metrics in columns.items():
        metric_of = {
            column: metric
            for metric, column in metrics.items()
            if not (metric == "_step" and axis.lower() in ("step", "_step"))
        }
        values = [column for column, metric in metric_of.items() if metric != "_step"]
        empty = (raw.frame[values].astype(str).apply(lambda c: c.str.strip()) == "").all(axis=1)
        cells = raw.frame[[axis, *metric_of]].rename(columns=metric_of)
        parts.append(cells[~empty.to_numpy()].assign(run=run))
    if not parts:
        raise UserError(f"{raw.name}: no column is called RUN - METRIC, as wandb's exports are")
    note = f"{raw.name}: a wandb chart; its points may be samples of what was logged"
    frame = pd.concat(parts, ignore_index=True)
    return replace(raw, frame=frame.where(frame.notna(), ""), notes=(*raw.notes, note), rows=None)
