"""Stored fits, read back."""

from __future__ import annotations

from pathlib import Path

from scalinglab.analysis.fitting.mixture import Mixture
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.fitting.store import read_fields
from scalinglab.analysis.laws.mixture import MixtureLaw


def read_fit(path: str | Path) -> Result:
    """Read a fit that `Result.save` wrote.

    Raises
    ------
    UserError
        If the file is not a fit, or its law is not registered.
    """
    fields = read_fields(path)
    return (Mixture if isinstance(fields["law"], MixtureLaw) else Result)(**fields)
