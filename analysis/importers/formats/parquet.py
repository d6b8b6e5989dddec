"""Parquet files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from pyarrow import ArrowException

from scalinglab.analysis.importers.formats.raw import Raw
from scalinglab.analysis.importers.formats.registry import (
    Request,
    checked_columns,
    register,
    stem_of,
    suffix_of,
)
from scalinglab.scaling.errors import UserError


@register("parquet (.parquet)", lambda path: suffix_of(path) in (".parquet", ".pq"))
def read_parquet(path: Path, request: Request) -> list[Raw]:
    """One table. Its missing numbers and those that were none are alike: both are NaN.

    Raises
    ------
    UserError
        If the file cannot be read or has no rows.
    """
    try:
        frame = pd.read_parquet(path)
    # A broken file, one that pandas cannot take, or a codec or type that this pyarrow lacks.
    except (ArrowException, ValueError, OSError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{path} cannot be read as parquet: {reason}") from None
    named = [n for n in frame.index.names if n is not None]
    frame = frame.reset_index() if named else frame.reset_index(drop=True)
    if frame.empty:
        raise UserError(f"{path} has no rows")
    return [Raw(checked_columns(frame, str(path)), stem_of(path), first=0, path=path)]
