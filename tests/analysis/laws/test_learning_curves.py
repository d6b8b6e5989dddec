import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS


@pytest.fixture(scope="module")
def translation_curves(public_data) -> dict[str, pd.DataFrame]:
    """The translation curves of arXiv:2209.06640, by model."""
    table = pd.read_csv(public_data / "revisiting" / "train.csv")
    table = table[table.Domain == "NMT"].rename(columns={"Seen Examples": "D", "Loss": "loss"})
    return dict(list(table.groupby("Model")))


@pytest.mark.parametrize("a", [0.05, 0.4, 1.0, 12.0])
def test_m4_solves_its_equation_everywhere(a):
    b, c, e, e0 = 2e3, 0.5, 1.7, 9.0
    x = np.geomspace(1e-9, 1e40, 200)
    loss = LAWS["m4"].predict(np.array([[b, c, e, e0, a]]), {"x": x})[0]
    assert (np.diff(loss) <= 0).all() and e <= loss[-1] and loss[0] <= e0
    inside = (loss > e * (1 + 1e-6)) & (loss < e0 * (1 - 1e-6))
    loss, right = loss[inside], np.log(b * x**-c)[inside]
    np.testing.assert_allclose(np.log(loss - e) - a * np.log(e0 - loss), right, atol=1e-7)


@pytest.mark.parametrize("model", ["28 Enc, 6 Dec", "Dec-only"])
def test_each_law_holds_the_one_before(translation_curves, model):
    curve = translation_curves[model]
    m1, m2, m3, m4 = (
        analysis.fit(name, curve, x="D", objective="least_squares", resamples=0).objective
        for name in ("m1", "m2", "m3", "m4")
    )
    assert m1 > m2 > m3 > m4


def test_the_same_law_under_other_names(made_by):
    table, _ = made_by("m3", noise=0.003)
    m3 = analysis.fit("m3", table, resamples=0)
    shifted = analysis.fit("shifted_power", table, resamples=0)
    assert m3.objective == pytest.approx(shifted.objective, rel=1e-9)
    power = analysis.fit("power_plus_constant", table, resamples=0)
    assert analysis.fit("m2", table, resamples=0).objective == pytest.approx(power.objective)
