"""What holds for every registered law."""

from dataclasses import replace

import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.analysis.decisions.optimum import best_split
from scalinglab.analysis.decisions.target import read_target
from scalinglab.analysis.default_laws import CURVE_LAW, LAW, SIZED_CURVE_LAW
from scalinglab.analysis.judgement.study_multiverse import table_multiverse
from scalinglab.analysis.laws import LAWS, register
from scalinglab.analysis.laws.check import check_derivatives
from scalinglab.analysis.laws.chinchilla import CHINCHILLA

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


@pytest.mark.parametrize("name", NAMES)
def test_what_a_law_says_of_itself_is_there(name):
    law = LAWS[name]
    assert not law.rival or law.rival in LAWS
    assert not law.reference or set(law.reference) == set(law.names)
    assert len(law.parameters_with_role("floor")) <= 1


@pytest.mark.parametrize("name", [n for n in NAMES if LAWS[n].best_size])
def test_a_closed_form_is_what_the_search_finds(name, made_by):
    law = LAWS[name]
    params = np.array([list(made_by(name)[1].values())])
    budget = np.array([1e20])
    searched = best_split(replace(law, best_size=None), params, budget)
    np.testing.assert_allclose(best_split(law, params, budget), searched, rtol=1e-4)


def test_a_law_of_ones_own_brings_what_answers_ask_of_it(made_by):
    """Its rival and its closed form are used; no answer knows laws by their names."""
    asked = []

    def optimum(budget, **params):
        asked.append(budget)
        return CHINCHILLA.best_size(budget, **params)

    own = replace(CHINCHILLA, name="mine", best_size=optimum, rival="kaplan_nd")
    runs, _ = made_by("chinchilla")
    result = analysis.fit(own, runs, resamples=0)
    analysis.allocate(result, [1e20])
    assert asked
    register(own)
    try:
        found = table_multiverse({"N": runs}, read_target("N at C=1e20"), law="mine", starts=4)
    finally:
        del LAWS["mine"]
    assert set(found.table["law"]) == {"mine", "kaplan_nd"}


def test_default_laws_are_there():
    assert not LAWS[LAW].curve
    assert LAWS[CURVE_LAW].curve and LAWS[SIZED_CURVE_LAW].curve
