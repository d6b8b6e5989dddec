"""What holds for every registered law."""

import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS
from scalinglab.analysis.laws.check import check_derivatives

NAMES = sorted(LAWS)


def _nearby(law, params, count=4):
    rng = np.random.default_rng(0)
    near = np.array([[params[p] for p in law.names]])
    return near * (1 + 1e-3 * rng.standard_normal((count, len(law.names))))


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_are_exact(name, made_by):
    frame, params = made_by(name)
    law = LAWS[name]
    columns = law.read(frame)
    described = np.all([np.isfinite(c).reshape(-1, len(frame)).all(0) for c in columns.values()], 0)
    columns = {key: column[..., described] for key, column in columns.items()}
    check_derivatives(law, _nearby(law, params), columns)
    near = _nearby(law, params)
    given, reference = law.jacobian(near, columns)[1], law.complex_step(near, columns)[1]
    scale = np.abs(reference).max(axis=(0, 2), keepdims=True)
    np.testing.assert_allclose(given / scale, reference / scale, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_law_recovers_its_parameters_from_data_it_made(name, made_by):
    frame, params = made_by(name)
    result = analysis.fit(name, frame, resamples=0)
    for parameter, true in params.items():
        assert result.params[parameter] == pytest.approx(true, rel=1e-4), parameter
    assert result.diagnosis.agree > 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_law_tells_where_it_comes_from_and_what_it_needs(name):
    law = LAWS[name]
    assert "arXiv" in law.source
    assert law.formula and all(law.inputs.values())
    assert all(p.meaning for p in law.parameters)
