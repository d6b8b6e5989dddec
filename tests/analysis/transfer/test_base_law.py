"""The baseline's loss as a law in compute."""

from __future__ import annotations

import numpy as np

from scalinglab.analysis.transfer.base_law import MOST, fit_base_law

C = np.geomspace(1e18, 1e20, 5)


def test_the_compute_for_a_loss_is_that_of_the_law() -> None:
    def loss(compute: np.ndarray) -> np.ndarray:
        return 1.7 + (compute / 1e18) ** -0.15

    law, without = fit_base_law(C, loss(C))
    for fitted in (law, *without):
        found = np.exp(fitted.log_multiplier(C, np.log(loss(1.3 * C) / loss(C))))
        np.testing.assert_allclose(found, 1.3, rtol=0.02)
    below = law.log_multiplier(C, np.log(np.full(5, 1.0) / loss(C)))  # no compute reaches it
    assert (below == MOST).all()


def test_a_loss_that_does_not_fall_is_told() -> None:
    law, _ = fit_base_law(C, np.full(5, 2.5))
    assert not law.falls
    rising, _ = fit_base_law(C, np.linspace(2, 3, 5))
    assert not rising.falls
