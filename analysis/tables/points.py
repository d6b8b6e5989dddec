"""From a table to the points of a fit, checked, with a count of the rows left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.arms import ARM
from scalinglab.analysis.laws.error_scale import ERROR_SCALES, ErrorScale
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.analysis.tables.bounds import SIDE, Bounds, bounds_of, only_bounded, with_bounds
from scalinglab.analysis.tables.clusters import clusters
from scalinglab.analysis.tables.exclusion import exclude_rows
from scalinglab.analysis.tables.factors import with_multiples
from scalinglab.analysis.tables.law_columns import as_law_columns, conventions_of, rename_columns
from scalinglab.analysis.tables.noise import (
    RECIPE,
    SCIENCE,
    SeedScatter,
    rounding_noise,
    seed_scatter,
)
from scalinglab.analysis.tables.numbers import as_floats
from scalinglab.analysis.tables.point_checks import (
    TooFewPoints,
    check_numbers,
    check_spread,
    described_rows,
    refuse_mixed_code,
)
from scalinglab.analysis.tables.validation_sets import (
    FURTHER_LOSS,
    refuse_different_sets,
    with_common_sets,
)
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.state import CENSORED


@dataclass(frozen=True)
class Points:
    """The points of a fit.

    Attributes
    ----------
    columns : dict of array, shape (..., n)
    response : array, shape (n,)
        Measured values of the law's response.
    weight, sharpness : array, shape (n,)
        See `Misfit`.
    noise : float or None
        Known noise of the response on the scale of the fit, typical of the rows.
    cluster : array of int, shape (n,), or None
        Rows of one cluster are not independent.
    runs : tuple of str
        Names of the runs that the points come from.
    excluded : dict of str to int
        Reason for leaving out rows -> number of rows.
    rows : array of int, shape (n,)
        Positions of the points in the table.
    renamed : dict of str to str
        Column of the law -> column of the table.
    counted : dict of str to str
        Column of the law -> the convention by which the table says it was counted.
    checkpoints : DataFrame or None
        Of laws of curves: ``run, step`` of each row.
    bounds : Bounds or None
        Censored rows, which are not among the others.
    repeats : SeedScatter or None
        The scatter of repeated runs, if the noise comes from it; rows by their positions in the
        table.
    """

    columns: Columns
    response: Array
    weight: Array
    sharpness: Array
    noise: float | None
    cluster: Array | None
    runs: tuple[str, ...]
    excluded: dict[str, int]
    rows: Array
    renamed: dict[str, str] = field(default_factory=dict)
    counted: dict[str, str] = field(default_factory=dict)
    checkpoints: pd.DataFrame | None = None
    bounds: Bounds | None = None
    repeats: SeedScatter | None = None

    def __len__(self) -> int:
        return len(self.response)

    @property
    def different(self) -> int:
        """Points that differ in their columns, of a few thousand at most."""
        few = [column[..., :: 1 + len(self) // 4000] for column in self.columns.values()]
        return np.unique(np.vstack(few), axis=1).shape[1]

    @property
    def group(self) -> Array:
        """Index of the independent group of each row."""
        return np.arange(len(self)) if self.cluster is None else self.cluster

    def of_rows(self, rows: Array) -> Points:
        """Some of the points, an array of bool."""
        few = None if self.cluster is None else self.cluster[rows]
        return replace(
            self,
            columns={name: column[..., rows] for name, column in self.columns.items()},
            response=self.response[rows],
            weight=self.weight[rows],
            sharpness=self.sharpness[rows],
            cluster=None if few is None else np.unique(few, return_inverse=True)[1],
            rows=self.rows[rows],
            checkpoints=None if self.checkpoints is None else self.checkpoints[rows],
            bounds=None if self.bounds is None else self.bounds.beside(int(rows.sum())),
        )


def read_points(
    law: Law,
    data: pd.DataFrame,
    *,
    columns: Mapping[str, str] | None = None,
    weights: str | Array | None = None,
    noise: str | float | Array | None = None,
    cluster: str | Array | None = None,
    exclude: Sequence[str] = (),
    mix_fingerprints: bool = False,
    scale: ErrorScale = ERROR_SCALES["relative"],
) -> Points:
    """Check a table and read the points of a fit from it.

    Raises
    ------
    UserError
        For an empty table, a missing column, a value that is not a positive number, mixed code
        fingerprints or an unknown rule; the sentence names the column and the value.
    TooFewPoints
        For a column without spread, or no row that the law describes.
    """
    frame = _frame(law, data, columns, weights, noise)
    renamed = rename_columns(law, frame, columns)
    frame, excluded = _without_excluded(law, frame, exclude, renamed)
    if law.curve:
        frame = _without_bounds(law, frame, (columns or {}).get(law.response, law.response))
    excluded = data.attrs.get("left_out", {}) | excluded  # when the file was read
    refuse_mixed_code(frame, mix_fingerprints)
    for rows in _by_arm(frame, renamed):
        refuse_different_sets(rows, renamed.values())
    frame = as_law_columns(frame, renamed)
    check_numbers(law, frame, scale)
    frame, prepared = _as_law_reads(law, frame, excluded)
    group = clusters(frame, cluster, law, prepared)
    frame, prepared, group, bounds = _measured_and_bounds(law, frame, prepared, group)
    check_spread(law, prepared, frame[law.response].to_numpy(float))
    typical, sharpness, repeats = _known_noise(law, frame, scale)
    return Points(
        columns=prepared,
        response=frame[law.response].to_numpy(float),
        weight=frame["_weight"].to_numpy(float),
        sharpness=sharpness,
        noise=typical,
        cluster=group,
        runs=_runs(frame),
        excluded=excluded,
        rows=frame.index.to_numpy(),
        renamed=renamed,
        counted=conventions_of(frame, renamed),
        checkpoints=frame[["run", "step"]] if law.curve and {"run", "step"} <= set(frame) else None,
        bounds=bounds,
        repeats=repeats,
    )


def _frame(
    law: Law,
    data: pd.DataFrame,
    columns: Mapping[str, str] | None,
    weights: str | Array | None,
    noise: str | float | Array | None,
) -> pd.DataFrame:
    """The table as floats, with the columns that are derived from others.

    ``_row`` is the label of each row in the table, ``_weight`` and ``_noise`` are the options.
    """
    if not isinstance(data, pd.DataFrame):
        raise UserError(f"data must be a pandas DataFrame, not {type(data).__name__}")
    if data.empty:
        raise UserError("data is an empty table")
    frame = (
        as_floats(data)
        .reset_index(drop=True)
        .assign(
            _row=data.index,
            _weight=_per_row(data, "weights", weights, 1.0),
            _noise=_per_row(data, "noise", noise, np.nan),
        )
    )
    named = [c for c in map(str, (columns or {}).values()) if c.startswith(FURTHER_LOSS)]
    if named:
        frame = with_common_sets(frame, named)
    frame = with_multiples(frame, columns)
    response = (columns or {}).get(law.response, law.response)
    return with_bounds(frame, response)


def _per_row(
    data: pd.DataFrame, option: str, value: str | float | Array | None, default: float
) -> Array:
    if value is None:
        return np.full(len(data), default)
    if isinstance(value, str):
        if value not in data.columns:
            raise UserError(f"{option}: the table has no column {value!r}")
        value = data[value].to_numpy(float)
    values = np.broadcast_to(np.asarray(value, float), len(data))
    if not (np.isfinite(values) & (values > 0)).all():
        raise UserError(f"{option} must be positive numbers, one for each row")
    return values


def _without_excluded(
    law: Law, frame: pd.DataFrame, exclude: Sequence[str], renamed: Mapping[str, str]
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The rows that no rule leaves out.

    Curves stay whole, as a law needs all learning rates: points that are left out lose only their
    response. Diverged runs are dropped.
    """
    response = renamed[law.response]
    length = next((renamed[name] for name in ("D", "x") if name in renamed), None)
    needed = [response] if law.curve else list(renamed.values())
    left_out, counts = exclude_rows(
        frame,
        exclude,
        response=response,
        needed=needed,
        length=length,
        names=renamed,
        sparse=law.curve,
    )
    if not law.curve:
        return frame[~left_out], counts
    fitted = frame.assign(**{response: frame[response].mask(left_out)})
    if "status" in frame:
        fitted = fitted[~frame["status"].astype(str).isin(CENSORED)]
    return fitted, counts


def _without_bounds(law: Law, frame: pd.DataFrame, response: str) -> pd.DataFrame:
    """The rows of curves; points of which only a bound is known are refused unless left out.

    The likelihood of a bound is that of single runs: noise along a curve is not independent.
    """
    bounded = only_bounded(frame) & frame[response].notna().to_numpy()
    if bounded.any():
        raise UserError(
            f"law = {law.name!r} is fitted to measured values of curves, and of "
            f"{int(bounded.sum())} of {int(frame[response].notna().sum())} points only a bound of "
            f"{response!r} is known: exclude=['bounded'] leaves these points out, and a law of "
            "the runs' ends takes them as censored"
        )
    return frame.assign(**{SIDE: 0.0})


def _by_arm(frame: pd.DataFrame, renamed: Mapping[str, str]) -> list[pd.DataFrame]:
    """The rows of each arm: arms with separate laws may have losses that are not comparable."""
    if ARM not in renamed:
        return [frame]
    return [rows for _, rows in frame.groupby(renamed[ARM])]


def _as_law_reads(
    law: Law, frame: pd.DataFrame, excluded: dict[str, int]
) -> tuple[pd.DataFrame, Columns]:
    """The rows that the law describes, and their columns; others are counted in `excluded`."""
    measured = frame[law.response].notna().to_numpy()
    prepared = law.read(frame, measured)
    is_described = described_rows(law, prepared, int(measured.sum()))
    frame = frame[measured][is_described]
    if not is_described.all():
        excluded[f"not described by {law.name}"] = int((~is_described).sum())
        prepared = {name: column[..., is_described] for name, column in prepared.items()}
    return frame, prepared


def _measured_and_bounds(
    law: Law, frame: pd.DataFrame, prepared: Columns, group: Array | None
) -> tuple[pd.DataFrame, Columns, Array | None, Bounds | None]:
    """Censored rows apart from the measured ones: only the latter are points."""
    measured = (frame[SIDE] == 0).to_numpy()
    if not measured.any():
        raise TooFewPoints(f"of {law.response!r} only bounds are known: no row is measured")
    if measured.all():
        return frame, prepared, group, None
    bounds = bounds_of(frame, law.response, prepared, group)
    prepared = {name: column[..., measured] for name, column in prepared.items()}
    return frame[measured], prepared, None if group is None else group[measured], bounds


def _known_noise(
    law: Law, frame: pd.DataFrame, scale: ErrorScale
) -> tuple[float | None, Array, SeedScatter | None]:
    """Typical noise, the sharpness of each row, and the repeats that the noise comes from.

    The option `noise` wins over repeats; no noise is smaller than that of rounding.
    """
    typical, sharpness = _sharpness(frame["_noise"].to_numpy(float))
    repeats = None
    if typical is None and "seed" in frame.columns and not law.curve:
        same = [c for c in dict.fromkeys((*SCIENCE, *RECIPE, *law.inputs)) if c in frame.columns]
        repeats = seed_scatter(frame, by=same, response=law.response, errors=scale.name)
        typical = repeats.noise if repeats.spare else None
    if "resolution" in frame.columns and frame["resolution"].notna().all():
        rounding = rounding_noise(frame[law.response], frame["resolution"], scale.name)
        typical = max(rounding, typical or 0.0)
    return typical, sharpness, repeats


def _sharpness(noise: Array) -> tuple[float | None, Array]:
    """Typical noise, and the factor of each row that divides its noise by the typical one."""
    if np.isnan(noise).all():
        return None, np.ones(len(noise))
    typical = float(np.exp(np.mean(np.log(noise))))
    return typical, typical / noise


def _runs(frame: pd.DataFrame) -> tuple[str, ...]:
    column = next((c for c in ("run_id", "run") if c in frame.columns), None)
    return () if column is None else tuple(sorted(frame[column].dropna().astype(str).unique()))
