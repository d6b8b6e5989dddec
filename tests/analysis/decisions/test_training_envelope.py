import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


def curves(sizes: int = 12) -> pd.DataFrame:
    """Whole curves of a surface, each point as good as its length allows."""
    N, D = np.meshgrid(np.geomspace(1e6, 1e9, sizes), np.geomspace(1e7, 1e12, 40))
    loss = 1.7 + 400 / N**0.34 + 1800 / D**0.37
    return pd.DataFrame({"N": N.ravel(), "D": D.ravel(), "loss": loss.ravel()})


def test_the_envelope_grows_as_the_surface_does():
    found = analysis.envelope(curves(), resamples=200)
    assert found.refused == ""
    assert found.power[0, 1] == pytest.approx(0.37 / 0.71, abs=0.02)
    low, high = np.nanquantile(found.power[1:, 1], [0.025, 0.975])
    assert low < 0.37 / 0.71 < high and high - low < 0.2


def test_the_size_at_each_compute_is_the_best_of_those_measured():
    table = curves()
    found = analysis.envelope(table, resamples=0).table
    row = found.iloc[len(found) // 2]
    N = table.N.unique()
    loss = 1.7 + 400 / N**0.34 + 1800 / (row.C / (6 * N)) ** 0.37
    assert row.N == pytest.approx(N[loss.argmin()])
    assert row.loss == pytest.approx(loss.min(), rel=1e-3)


def test_ends_of_the_ladder_are_no_envelope():
    found = analysis.envelope(curves(), resamples=0).table
    assert found.N.min() > 1e6 and found.N.max() < 1e9


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (curves(2), "2 sizes have two or more D"),
        (curves().drop_duplicates("N"), "0 sizes have two or more D"),
        (curves(3), "1 of the sizes between smallest and largest are best"),
    ],
)
def test_what_has_no_envelope_is_refused(points, why):
    found = analysis.envelope(points, resamples=5)
    assert why in found.refused and np.isnan(found.power).all()


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="needs the column 'D'"):
        analysis.envelope(curves().drop(columns="D"))
