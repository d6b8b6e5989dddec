"""From a table to the points of a fit: checked, and with an account of what was left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from analysis.laws.law import Array, Columns, Law
from analysis.noise import seed_noise

_STRETCHES = 10  # into which a curve is cut for resampling


@dataclass(frozen=True)
class Points:
    """What a fit sees.

    Attributes
    ----------
    columns : dict of array, shape (..., n)
    response : array, shape (n,)
        Measured values of the law's response.
    weight, sharpness : array, shape (n,)
        See `Misfit`.
    noise : float or None
        Known noise of log(response), typical of the rows.
    cluster : array of int, shape (n,), or None
        Rows of one cluster are not independent.
    runs : tuple of str
        Which runs the points come from.
    excluded : dict of str to int
        Why rows were left out -> how many.
    renamed : dict of str to str
        Column of the law -> column of the table.
    """

    columns: Columns
    response: Array
    weight: Array
    sharpness: Array
    noise: float | None
    cluster: Array | None
    runs: tuple[str, ...]
    excluded: dict[str, int]
    renamed: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.response)


def read_points(
    law: Law,
    data: pd.DataFrame,
    *,
    columns: Mapping[str, str] | None = None,
    weights: str | Array | None = None,
    noise: str | float | None = None,
    cluster: str | Array | None = None,
    mix_fingerprints: bool = False,
) -> Points:
    """Check a table and take from it what the law needs.

    Raises
    ------
    ValueError
        For an empty table, a missing column, a value that is not a positive number, mixed code
        fingerprints or a column without spread: one sentence that names the column and the value.
    """
    if not isinstance(data, pd.DataFrame):
        raise ValueError(f"data must be a pandas DataFrame, not {type(data).__name__}")
    if data.empty:
        raise ValueError("data is an empty table")
    frame = data.reset_index(drop=True).assign(
        _weight=_per_row(data, "weights", weights, 1.0),
        _noise=_per_row(data, "noise", noise, np.nan),
    )
    frame, excluded = _without_diverged(frame)
    _refuse_mixed_code(frame, mix_fingerprints)
    renamed = rename_columns(law, frame, columns)
    frame = rename(frame, renamed)
    _check_positive(law, frame)
    prepared = law.read(frame)
    used = _usable(law, frame, prepared, excluded)
    frame = frame[used]
    prepared = {name: column[..., used] for name, column in prepared.items()}
    _check_spread(law, prepared)
    typical, sharpness = _sharpness(frame["_noise"].to_numpy(float))
    if typical is None and "seed" in frame.columns and not law.curve:
        typical = seed_noise(frame, response=law.response)
    return Points(
        columns=prepared,
        response=frame[law.response].to_numpy(float),
        weight=frame["_weight"].to_numpy(float),
        sharpness=sharpness,
        noise=typical,
        cluster=_clusters(frame, cluster, law),
        runs=_runs(frame),
        excluded=excluded,
        renamed=renamed,
    )


def rename_columns(
    law: Law, frame: pd.DataFrame, columns: Mapping[str, str] | None, *, response: bool = True
) -> dict[str, str]:
    """Column of the law -> column of the table, for every column the law reads.

    Raises
    ------
    ValueError
        If `columns` names something the law does not read, or a column is missing.
    """
    wanted = dict(law.inputs)
    if response:
        wanted[law.response] = "the measured response"
    given = dict(columns or {})
    if not response:
        given.pop(law.response, None)
    for name in given:
        if name not in wanted:
            raise ValueError(f"columns: {law.name} reads no {name!r}, only {', '.join(wanted)}")
    renamed = {name: given.get(name, name) for name in wanted}
    for name, source in renamed.items():
        if source not in frame.columns:
            have = ", ".join(str(c) for c in frame.columns if not str(c).startswith("_"))
            raise ValueError(
                f"{law.name} needs column {source!r} ({name}: {wanted[name]}); the table has {have}"
                f" (say columns={{{name!r}: ...}} if it goes by another name)"
            )
    return renamed


def rename(frame: pd.DataFrame, renamed: Mapping[str, str]) -> pd.DataFrame:
    """The table with the law's own column names."""
    swapped = {source: name for name, source in renamed.items() if source != name}
    hidden = [name for name in swapped.values() if name in frame.columns]
    return frame.drop(columns=hidden).rename(columns=swapped)


def _per_row(data: pd.DataFrame, option: str, given: str | float | Array | None, default: float):
    if given is None:
        return np.full(len(data), default)
    if isinstance(given, str):
        if given not in data.columns:
            raise ValueError(f"{option}: the table has no column {given!r}")
        given = data[given]
    values = np.broadcast_to(np.asarray(given, float), len(data))
    if not (np.isfinite(values) & (values > 0)).all():
        raise ValueError(f"{option} must be positive numbers, one for each row")
    return values


def _without_diverged(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Diverged runs say that the loss was at least so bad: censored, not forgotten."""
    if "status" not in frame.columns:
        return frame, {}
    diverged = frame["status"].astype(str) == "diverged"
    if diverged.all():
        raise ValueError("every row has status 'diverged': nothing is left to fit")
    return frame[~diverged], {"diverged (censored)": int(diverged.sum())} if diverged.any() else {}


def _refuse_mixed_code(frame: pd.DataFrame, allowed: bool) -> None:
    if allowed or "fingerprint" not in frame.columns:
        return
    seen = sorted(frame["fingerprint"].dropna().astype(str).unique())
    if len(seen) > 1:
        raise ValueError(
            f"column 'fingerprint' has {len(seen)} values ({', '.join(seen[:3])}): the runs were"
            " trained by different code; pass mix_fingerprints=True to fit them together"
        )


def _check_positive(law: Law, frame: pd.DataFrame) -> None:
    for name in (*law.positive, law.response):
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
        unmeasured = np.isnan(values) & frame[name].isna().to_numpy() if law.curve else False
        bad = ~(np.isfinite(values) & (values > 0)) & ~np.asarray(unmeasured)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"column {name!r} must hold positive numbers; {int(bad.sum())} of {len(bad)} do"
                f" not, the first is {frame[name].iloc[at]} in row {frame.index[at]}"
            )


def _usable(law: Law, frame: pd.DataFrame, prepared: Columns, excluded: dict[str, int]) -> Array:
    described = np.ones(len(frame), bool)
    for column in prepared.values():
        described &= np.isfinite(column).reshape(-1, len(frame)).all(axis=0)
    measured = frame[law.response].notna().to_numpy()
    if (measured & ~described).any():
        excluded[f"not described by {law.name}"] = int((measured & ~described).sum())
    if not (measured & described).any():
        raise ValueError(f"no row has a measured {law.response!r} that {law.name} describes")
    return measured & described


def _check_spread(law: Law, prepared: Columns) -> None:
    for name, column in prepared.items():
        if column.ndim == 1 and np.ptp(column) <= 1e-9 * np.abs(column).max():
            raise ValueError(
                f"column {name!r} has the one value {column[0]:g} in every point: "
                f"{law.name} needs at least two, better four or more"
            )


def _sharpness(noise: Array) -> tuple[float | None, Array]:
    """Typical noise, and what divides each row's noise by it."""
    if np.isnan(noise).all():
        return None, np.ones(len(noise))
    typical = float(np.exp(np.mean(np.log(noise))))
    return typical, typical / noise


def _runs(frame: pd.DataFrame) -> tuple[str, ...]:
    column = next((c for c in ("run_id", "run") if c in frame.columns), None)
    return () if column is None else tuple(sorted(frame[column].astype(str).unique()))


def _clusters(
    frame: pd.DataFrame, cluster: str | Array | None, law: Law
) -> Array | None:
    if cluster is None and "cluster" in frame.columns:
        cluster = "cluster"
    if isinstance(cluster, str):
        if cluster not in frame.columns:
            raise ValueError(f"cluster: the table has no column {cluster!r}")
        labels = frame[cluster]
    elif cluster is not None:
        labels = pd.Series(np.asarray(cluster))[frame.index]
    elif law.curve:
        return _stretches(frame)
    else:
        return None
    if labels.isna().any():
        raise ValueError(f"cluster: {int(labels.isna().sum())} rows have no cluster")
    return pd.factorize(labels)[0]


def _stretches(frame: pd.DataFrame) -> Array:
    """Stretches of each curve: neighbouring measurements miss the law together."""
    rank = frame.groupby("run").cumcount()
    length = frame.groupby("run")["run"].transform("size")
    stretch = (_STRETCHES * rank // length).astype(str)
    return pd.factorize(frame["run"].astype(str) + "/" + stretch)[0]
