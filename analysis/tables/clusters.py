"""Clusters: rows that are not independent and are resampled together."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.scaling.errors import UserError

_STRETCHES = 10  # into which a curve is cut for resampling


def clusters(
    frame: pd.DataFrame, cluster: str | Array | None, law: Law, prepared: Columns
) -> Array | None:
    """The cluster of each row, shape (n,); None where every row is one by itself.

    Parameters
    ----------
    frame : DataFrame
        The rows of a fit; its index counts the rows of the table it was taken from.
    cluster : str, array or None
        A column, or a label for each row of that table. Default: the column ``cluster``; else
        stretches of curves, checkpoints of one run (``run_id``, ``run``), or rows that are copies
        of one another.
    law : Law
    prepared : dict of array
        The law's columns for the rows.

    Raises
    ------
    UserError
        If the column does not exist, or a row has no label.
    """
    if cluster is None and "cluster" in frame.columns:
        cluster = "cluster"
    if isinstance(cluster, str):
        if cluster not in frame.columns:
            raise UserError(f"cluster: the table has no column {cluster!r}")
        labels = frame[cluster]
    elif cluster is not None:
        labels = pd.Series(np.asarray(cluster))[frame.index]
    elif law.curve:
        return _stretches(frame)
    else:
        codes = _of_one_run(frame)
        codes = copied(prepared, frame) if codes is None else codes
        return codes if codes.max() + 1 < len(frame) else None
    if labels.isna().any():
        raise UserError(f"cluster: {int(labels.isna().sum())} rows have no cluster")
    return pd.factorize(labels)[0]


def row_labels(table: pd.DataFrame) -> pd.Series:
    """The values of each row as one text, equal for equal rows."""
    columns = [table[name].map(str) for name in table.columns]
    # Not `agg("/".join, axis=1)`, which makes a column of each row: half the time of a law of rates.
    labels = ["/".join(row) for row in zip(*columns, strict=True)]
    return pd.Series(labels, index=table.index, dtype=str)


def _of_one_run(frame: pd.DataFrame) -> Array | None:
    """The run of each row; None if no run has two rows. A row without a run is a run of its own."""
    name = next((c for c in ("run_id", "run") if c in frame.columns), None)
    if name is None or not frame[name].dropna().duplicated().any():
        return None
    codes = pd.factorize(frame[name])[0]
    without_run = codes < 0
    codes[without_run] = codes.max() + 1 + np.arange(without_run.sum())
    return codes


def copied(columns: Columns, table: pd.DataFrame) -> Array:
    """The measurement of each row, shape (n,): rows that are equal to the last digit are copies.

    All numbers of the table count, also those that the law does not read: the size distinguishes
    rows of a law in which the best batch depends on D alone.
    """
    numbers = table.select_dtypes("number").to_numpy(float)
    rows = pd.DataFrame(np.column_stack([numbers, *(np.atleast_2d(c).T for c in columns.values())]))
    return rows.groupby(list(rows), dropna=False, sort=False).ngroup().to_numpy()


def _stretches(frame: pd.DataFrame) -> Array:
    """Stretches of each curve: neighbouring measurements miss the law together."""
    rank = frame.groupby("run").cumcount()
    length = frame.groupby("run")["run"].transform("size")
    stretch = (_STRETCHES * rank // length).astype(str)
    return pd.factorize(frame["run"].astype(str) + "/" + stretch)[0]
