import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.fitting.best_fit import FitOptions, best_fit
from scalinglab.analysis.fitting.search import search


@pytest.fixture
def fitted():
    law = analysis.LAWS["chinchilla"]
    rng = np.random.default_rng(0)
    N, ratio = np.exp(rng.uniform(np.log([[1e7], [3]]), np.log([[1e10], [300]]), (2, 2000)))
    points = pd.DataFrame({"N": N, "D": N * ratio})
    made = law.predict(np.array([[1.8, 480, 0.35, 2100, 0.37]]), law.read(points))[0]
    points["loss"] = made * np.exp(0.01 * rng.standard_normal(2000))
    return best_fit(law, points, FitOptions())


def _starts(fitted):
    return fitted.misfit.space.law.starts(fitted.points.columns, fitted.points.response, 16)


def test_a_search_on_some_rows_ends_at_the_best_of_all(fitted, monkeypatch):
    whole = search(fitted.misfit, _starts(fitted))
    monkeypatch.setattr("scalinglab.analysis.fitting.search._SEARCHED_ROWS", 300)
    some = search(fitted.misfit, _starts(fitted))
    assert (whole.rows, some.rows) == (2000, 300)
    assert len(some.place) == len(whole.place) == 16
    assert len(some.unscouted.value) == len(whole.unscouted.value)
    np.testing.assert_allclose(some.best, whole.best, rtol=1e-4)
    np.testing.assert_allclose(some.unscouted.value, whole.unscouted.value.min(), rtol=1e-6)


def test_a_search_on_some_rows_costs_as_much_however_many_there_are(fitted, monkeypatch):
    seen = []
    original = type(fitted.misfit).__call__

    def counted(misfit, u, problem, caution):
        seen.append(len(u) * len(misfit.target))
        return original(misfit, u, problem, caution)

    monkeypatch.setattr(type(fitted.misfit), "__call__", counted)
    search(fitted.misfit, _starts(fitted))
    whole = sum(seen)
    seen.clear()
    monkeypatch.setattr("scalinglab.analysis.fitting.search._SEARCHED_ROWS", 100)
    search(fitted.misfit, _starts(fitted))
    assert sum(seen) < whole / 4


def test_the_report_says_on_how_many_rows(made_by, monkeypatch):
    points, _ = made_by("chinchilla", noise=0.01)
    assert " rows;" not in analysis.fit("chinchilla", points, resamples=0).report()
    monkeypatch.setattr("scalinglab.analysis.fitting.search._SEARCHED_ROWS", 20)
    assert "64 starts on 20 rows;" in analysis.fit("chinchilla", points, resamples=0).report()
