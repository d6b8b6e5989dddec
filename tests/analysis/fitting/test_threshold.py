"""The Huber threshold: published, scaled to the residuals, or given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.fitting.objective import Objective
from scalinglab.analysis.fitting.threshold import (
    PUBLISHED,
    check_threshold,
    residual_spread,
    scaled_threshold,
)
from scalinglab.scaling.errors import UserError


def fitted(made_by, noise: float, **options):
    table, _ = made_by("lr_annealing", noise=noise)
    return analysis.fit("lr_annealing", table, resamples=0, starts=4, **options)


def test_curves_with_little_noise_keep_the_published_threshold(made_by) -> None:
    plain = fitted(made_by, 0.001)
    assert plain.settings["delta"] == PUBLISHED
    assert plain.params == fitted(made_by, 0.001, delta="published").params
    assert "(delta 0.001)" in plain.report()


def test_noisy_curves_have_a_threshold_of_their_size(made_by) -> None:
    noisy = fitted(made_by, 0.02)
    assert 0.02 < noisy.settings["delta"] < 0.04  # 1.345 times the noise
    assert noisy.settings["delta_rule"] == "scaled" and "delta=published" in noisy.report()
    assert noisy.params == fitted(made_by, 0.02, delta="scaled").params
    published = fitted(made_by, 0.02, delta="published")
    assert published.settings["delta"] == PUBLISHED and "delta=scaled" in published.report()
    assert fitted(made_by, 0.02, delta=PUBLISHED).params == published.params


def test_surfaces_keep_the_published_threshold_until_asked(made_by) -> None:
    table, _ = made_by("chinchilla", noise=0.02)
    plain = analysis.fit("chinchilla", table, resamples=0)
    assert plain.settings["delta"] == PUBLISHED and "delta=scaled" in plain.report()
    assert analysis.fit("chinchilla", table, resamples=0, delta="scaled").settings["delta"] > 0.01


def test_least_squares_and_perfect_fits_have_nothing_to_scale() -> None:
    assert scaled_threshold("scaled", Objective("least_squares"), 0.1, True) is None
    assert scaled_threshold("scaled", Objective(), 0.0, True) is None
    assert scaled_threshold(None, Objective(), 0.01, False) is None


def test_a_few_far_points_do_not_widen_the_threshold() -> None:
    residuals = np.random.default_rng(0).normal(0, 0.01, 2000)
    far = np.where(np.arange(2000) % 20 == 0, 5.0, residuals)
    assert residual_spread(far) == pytest.approx(residual_spread(residuals), rel=0.1)


@pytest.mark.parametrize("delta", ["publishd", 0, -1.0, True, float("nan"), "0.01"])
def test_what_is_no_threshold_is_refused(delta) -> None:
    with pytest.raises(UserError, match="study.answer.delta = .*published or scaled"):
        check_threshold(delta, "study.answer.delta")
    with pytest.raises(UserError, match="delta = .*allowed is"):
        analysis.fit("power", pd.DataFrame({"x": [1.0], "loss": [1.0]}), delta=delta)
