from dataclasses import replace

import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS


def _wrong(**given):
    value, partials = LAWS["chinchilla"].gradient(**given)
    return value, {**partials, "beta": -partials["beta"]}


def test_a_wrong_gradient_stops_the_fit_and_names_the_parameter(made_by):
    runs, _ = made_by("chinchilla")
    wrong = replace(LAWS["chinchilla"], gradient=_wrong)
    with pytest.raises(ValueError, match="derivative in 'beta' is wrong"):
        analysis.fit(wrong, runs)


def test_complex_step_through_abs_is_noticed(made_by):
    runs, _ = made_by("chinchilla")

    def value(N, D, E, A, alpha, B, beta):
        return E + np.abs(A) * N ** -np.abs(alpha) + B * D**-beta

    folded = replace(LAWS["chinchilla"], value=value, gradient=None, linear=())
    folded = replace(
        folded, parameters=tuple(replace(p, start=(0.2, 0.9)) for p in folded.parameters)
    )
    with pytest.raises(ValueError, match="'A' is wrong by complex step"):
        analysis.fit(folded, runs)
