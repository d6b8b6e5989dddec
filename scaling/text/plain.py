"""Values as what JSON can hold: plain finite numbers, texts and null."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """A value as JSON can hold it.

    A data frame becomes a list with one object a row, its index left out; a number that is not
    finite becomes null; whatever else is unknown becomes its text.
    """
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "columns"):  # a data frame, known by its shape: --help loads no pandas
        return [plain(row) for row in value.to_dict("records")]
    if hasattr(value, "tolist"):  # numpy's arrays and scalars, a series
        return plain(value.tolist())
    return str(value)
