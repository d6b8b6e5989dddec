"""Are a law's derivatives right? Checked on the points of each fit before anything is minimised."""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.laws.law import Array, Columns, Law
from scalinglab.scaling.errors import UserError

_ROWS, _PLACES = 8, 5
_EXACT, _ROUGH = 1e-7, 1e-3
_ROUNDING = 1e-9  # of the value, in a derivative times its parameter


def check_derivatives(law: Law, params: Array, columns: Columns) -> None:
    """Compare a law's derivatives with an independent way to them.

    A given gradient must agree with complex step to rounding; complex step itself, where it is all
    there is, with finite differences.

    Parameters
    ----------
    law : Law
    params : array, shape (batch, parameters)
        Where to compare: at up to five of them. A wrong derivative is wrong at most; one place
        alone may have a vanishing term or lie on a kink.
    columns : dict of array, shape (..., n)
        A few rows are enough.

    Raises
    ------
    UserError
        Naming the parameter whose derivative is wrong.
    """
    few = {name: column[..., :_ROWS] for name, column in columns.items()}
    params = params[np.unique(np.linspace(0, len(params) - 1, _PLACES).round().astype(int))]
    with np.errstate(all="ignore"):
        value, derivatives = law.jacobian(params, few)
        if law.gradient is not None:
            reference, tolerance = law.complex_step(params, few)[1], _EXACT
        else:
            reference, tolerance = _differences(law, params, few), _ROUGH
        for k, name in enumerate(law.names):
            rounding = _ROUNDING * np.abs(value / params[:, k : k + 1])
            verdicts = [
                _agree(*pair, tolerance)
                for pair in zip(derivatives[:, k], reference[:, k], rounding, strict=True)
            ]
            if verdicts.count(False) > verdicts.count(True):
                wrong = f"law {law.name!r}: the derivative in {name!r} is wrong"
                raise UserError(wrong + _hint(law))


def _agree(derivatives: Array, reference: Array, rounding: Array, tolerance: float) -> bool | None:
    """Whether two derivatives agree at one place; None where there is nothing to compare."""
    right = np.isfinite(reference) & ~np.isnan(rounding)
    if not right.any():
        return None
    error = np.abs(derivatives - reference)[right].max()
    return bool(error <= tolerance * np.abs(reference[right]).max() + rounding[right].max())


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
