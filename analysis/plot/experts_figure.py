"""Loss against the number of experts, or their granularity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scalinglab.analysis.plot.loss_against_figure import loss_against

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from scalinglab.analysis.fitting.result import Result

_SIZES = ("n_active", "N", "D")


def experts(
    result: Result,
    runs: pd.DataFrame,
    *,
    x: str = "experts",
    ax: Axes | None = None,
    **options: Any,
) -> Axes:
    """Loss against experts, and a law of them at some sizes; options as `loss_against`."""
    by = next((name for name in _SIZES if name in result.law.inputs and name != x), None)
    return loss_against(result, runs, x, ax=ax, **{"by": by, **options})
