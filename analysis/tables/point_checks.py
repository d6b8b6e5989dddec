"""What the points of a fit must satisfy; the sentences name column, value and row."""

from __future__ import annotations

import numpy as np
import pandas as pd

from scalinglab.analysis.laws.error_scale import ErrorScale
from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.scaling.errors import UserError
from scalinglab.scaling.records.fingerprint import versions_of_code


class TooFewPoints(UserError):
    """The points do not determine the law under any options: more or other runs are needed."""


def refuse_mixed_code(frame: pd.DataFrame, allowed: bool) -> None:
    """Raise `UserError` if runs were trained by several versions of the code, unless allowed."""
    if allowed or "fingerprint" not in frame.columns:
        return
    versions = versions_of_code(frame["fingerprint"].dropna().astype(str))
    if versions:
        raise UserError(
            f"column 'fingerprint' names {len(versions)} versions ({', '.join(versions[:3])}): the "
            "runs were trained by different code; pass mix_fingerprints=True to fit them together"
        )


def check_numbers(law: Law, frame: pd.DataFrame, scale: ErrorScale) -> None:
    """Refuse an empty column of the law, and values that are not numbers in its span.

    Parameters
    ----------
    law : Law
    frame : DataFrame
        By the law's names of columns; ``_row`` is the label that each row had in the table.
    scale : ErrorScale
        Responses with absolute errors may be zero or negative.

    Raises
    ------
    UserError
    """
    for name in (*law.positive, law.response):
        low, high = (0.0, np.inf) if name in law.positive else law.span
        may_be_low = name == law.response and scale.name == "absolute"
        if frame[name].isna().all():
            meaning = law.inputs.get(name, "the measured response")
            raise UserError(f"column {name!r} ({meaning}) is empty: {law.name} needs it")
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(float)
        unmeasured = np.isnan(values) & frame[name].isna().to_numpy() if law.curve else False
        good = np.isfinite(values) & (values <= high) & (values >= low)
        bad = ~(good if may_be_low else good & (values > 0)) & ~np.asarray(unmeasured)
        if bad.any():
            first_bad = int(np.flatnonzero(bad)[0])
            kind = f"numbers from {low:g} to {high:g}" if may_be_low else "positive numbers"
            missing = not law.curve and frame[name].isna().to_numpy()[bad].all()
            hint = " (exclude=['unmeasured'] leaves them out)" if missing and not bad.all() else ""
            raise UserError(
                f"column {name!r} must hold {kind}; {int(bad.sum())} of {len(bad)} do not, the "
                f"first is {frame[name].iloc[first_bad]} in row "
                f"{frame['_row'].iloc[first_bad]}{hint}"
            )


def described_rows(law: Law, prepared: Columns, rows: int) -> Array:
    """The rows whose columns are all finite as the law reads them, an array of bool.

    Raises
    ------
    TooFewPoints
        If there is none.
    """
    described = np.ones(rows, bool)
    for column in prepared.values():
        described &= np.isfinite(column).reshape(-1, rows).all(axis=0)
    if not described.any():
        raise TooFewPoints(f"no row has a measured {law.response!r} that {law.name} describes")
    return described


def check_spread(law: Law, prepared: Columns, response: Array) -> None:
    """Refuse a column that has one value in all points.

    Raises
    ------
    TooFewPoints
    """
    for name, column in (*prepared.items(), (law.response, response)):
        if column.ndim == 1 and np.ptp(column) <= 1e-9 * np.abs(column).max():
            raise TooFewPoints(
                f"column {name!r} has the one value {column[0]:g} in every point: "
                f"{law.name} needs at least two, better four or more"
            )
