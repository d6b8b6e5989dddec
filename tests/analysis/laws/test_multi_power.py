import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.laws import LAWS

TRAIN = ["cosine_24000", "constant_24000", "wsdcon_9"]
# As published for 25M: these give R² .9988 and MAE .00376, mean over the six other schedules.
PUBLISHED = {
    **dict(L0=3.04045406, A=0.52468604, alpha=0.50786857, B=363.78751622),
    **dict(C=2.06560812, beta=0.58279013, gamma=0.64142257),
}


def _unseen(predicted, curves):
    scores = [
        analysis.scores(curve.loss, predicted[curve.index])
        for run, curve in curves.groupby("run")
        if run not in TRAIN
    ]
    return pd.DataFrame(scores).mean()


def test_the_published_constants_give_the_published_error(published_curves):
    law = LAWS["multi_power"]
    measured = published_curves.loss.notna().to_numpy()
    params = np.array([[PUBLISHED[name] for name in law.names]])
    made = law.predict(params, law.read(published_curves, measured))[0]
    predicted = pd.Series(np.nan, published_curves.index)
    predicted[measured] = made
    found = _unseen(predicted, published_curves)
    assert found.r2 == pytest.approx(0.9988, abs=5e-5)
    assert found.mae == pytest.approx(0.00376, abs=1e-5)


@pytest.mark.slow
def test_priors_predict_unseen_schedules_better_than_convergence_alone(published_curves):
    train = published_curves[published_curves.run.isin(TRAIN)]
    with_priors = analysis.fit("multi_power", train, resamples=0, starts=16)
    wide = dict.fromkeys(("C", "beta", "gamma"), (2.0, 10000.0))
    without = analysis.fit("multi_power", train, resamples=0, starts=16, priors=wide)
    better, worse = (
        _unseen(r.predict(published_curves).loss, published_curves) for r in (with_priors, without)
    )
    assert without.objective < with_priors.objective
    assert worse.mae == pytest.approx(0.00462, abs=5e-5)  # converged, as others found it
    assert better.mae < 0.0044


def test_a_constant_learning_rate_leaves_the_area_and_the_warmup():
    law = LAWS["multi_power"]
    step = np.arange(400)
    frame = pd.DataFrame({"run": "a", "step": step, "lr": 1e-3})
    params = np.array([[PUBLISHED[name] for name in law.names]])
    made = law.predict(params, law.read(frame))[0]
    area = 1e-3 * (step + 1)
    felt = 1 - (1 + PUBLISHED["C"] * 1e-3 ** -PUBLISHED["gamma"] * area) ** -PUBLISHED["beta"]
    power = PUBLISHED["A"] * area ** -PUBLISHED["alpha"]
    np.testing.assert_allclose(made, PUBLISHED["L0"] + power + PUBLISHED["B"] * 1e-3 * felt)
