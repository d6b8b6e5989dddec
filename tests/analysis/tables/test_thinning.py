import numpy as np
import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.thinning import thin_curves


def test_a_thinned_table_gives_the_same_fit(made_by):
    frame, params = made_by("lr_annealing", noise=0.002)
    thinned = thin_curves(frame)
    assert len(thinned) < 0.2 * len(frame)
    whole, thin = (analysis.fit("lr_annealing", table, resamples=0) for table in (frame, thinned))
    for name in params:
        assert thin.params[name] == pytest.approx(whole.params[name], rel=1e-3), name


def test_straight_pieces_stay_exact(made_by):
    frame, params = made_by("multi_power")
    straight = frame[frame.run != "cosine"]
    thinned = thin_curves(straight)
    law = analysis.LAWS["multi_power"]
    values = np.array([[params[name] for name in law.names]])
    made = law.predict(values, law.read(thinned, thinned.loss.notna().to_numpy()))[0]
    np.testing.assert_allclose(made, thinned.loss.dropna(), rtol=1e-9)


def test_a_schedule_is_followed_as_closely_as_asked(made_by):
    frame, _ = made_by("lr_annealing")
    for tolerance in (1e-2, 1e-4):
        thinned = thin_curves(frame, tolerance=tolerance)
        for run, curve in frame.groupby("run"):
            rows = thinned[thinned.run == run]
            error = np.interp(curve.step, rows.step, rows.lr) - curve.lr
            assert np.abs(error).max() <= tolerance * curve.lr.max()
