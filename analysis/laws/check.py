"""Are a law's derivatives right? Checked on the points of each fit before anything is minimised."""

from __future__ import annotations

import numpy as np

from analysis.laws.law import Array, Columns, Law

_ROWS = 8
_EXACT, _ROUGH = 1e-7, 1e-3


def check_derivatives(law: Law, params: Array, columns: Columns) -> None:
    """Compare a law's derivatives with an independent way to them.

    A given gradient must agree with complex step to rounding; complex step itself, where it is all
    there is, with finite differences.

    Parameters
    ----------
    law : Law
    params : array, shape (batch, parameters)
        Where to compare.
    columns : dict of array, shape (..., n)
        A few rows are enough.

    Raises
    ------
    ValueError
        Naming the parameter whose derivative is wrong.
    """
    few = {name: column[..., :_ROWS] for name, column in columns.items()}
    with np.errstate(all="ignore"):
        given = law.jacobian(params, few)[1]
        if law.gradient is not None:
            reference, tolerance = law.complex_step(params, few)[1], _EXACT
        else:
            reference, tolerance = _differences(law, params, few), _ROUGH
    for k, name in enumerate(law.names):
        right = np.isfinite(reference[:, k])
        error = np.abs(given[:, k] - reference[:, k])[right]
        size = np.abs(reference[:, k])[right].max(initial=1e-300)
        if error.size and not error.max() <= tolerance * size:
            raise ValueError(f"law {law.name!r}: the derivative in {name!r} is wrong{_hint(law)}")


def _hint(law: Law) -> str:
    if law.gradient is not None:
        return "; compare its gradient with its value"
    return " by complex step: its value uses abs, max or a comparison; give it a gradient"


def _differences(law: Law, params: Array, columns: Columns) -> Array:
    jacobian = np.empty((len(params), len(law.parameters), next(iter(columns.values())).shape[-1]))
    for k in range(len(law.parameters)):
        step = 1e-6 * np.maximum(np.abs(params[:, k : k + 1]), 1e-3)
        move = np.zeros(params.shape)
        move[:, k : k + 1] = step
        rise = law.predict(params + move, columns) - law.predict(params - move, columns)
        jacobian[:, k] = rise / (2 * step)
    return jacobian
