"""Runs of wandb's API. The object is handed in: nothing here imports wandb.

What it gives with `history` is a sample; `scan_history` gives every row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scalinglab.analysis.importers.assemble import Imported, assemble
from scalinglab.analysis.importers.formats.json_files import runs_with_history
from scalinglab.scaling.errors import UserError


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
    UserError
        As `read_runs`; or if there are no runs. A run that cannot be read while others can is left
        out and named.
    """
    described = [
        {
            "id": run.id,
            "name": run.name,
            "state": run.state,
            "config": run.config,
            "history": list(run.scan_history()),
        }
        for run in runs
    ]
    if not described:
        raise UserError("wandb: there are no such runs")
    return assemble(runs_with_history(described), columns=columns, **options)
