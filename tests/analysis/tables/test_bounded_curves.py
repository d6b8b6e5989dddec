"""Curves of which only a bound is known at some steps."""

from __future__ import annotations

import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.scaling.errors import UserError


def test_a_law_of_curves_refuses_bounds_unless_they_are_left_out(made_by) -> None:
    curves, _ = made_by("lr_annealing")
    measured = np.flatnonzero(curves["loss"].notna())
    loss = curves.loc[measured[:4], "loss"]
    curves.loc[measured[:4], "loss"] = np.nan
    plain = analysis.fit("lr_annealing", curves, resamples=0)
    curves = curves.assign(loss_at_least=loss - 0.1)
    with pytest.raises(UserError, match=f"of 4 of {len(measured)} points only a bound of 'loss'"):
        analysis.fit("lr_annealing", curves, resamples=0)
    fitted = analysis.fit("lr_annealing", curves, resamples=0, exclude=["bounded"])
    assert fitted.excluded == {"bounded": 4}
    assert fitted.params == plain.params
