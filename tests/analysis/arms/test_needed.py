"""The amount that a loss needs: found where lines fall, turn, or never come there."""

from __future__ import annotations

import numpy as np
import pytest

from scalinglab.analysis.arms.needed import REACH, amount_needed


def lines(*functions):
    """Losses of resamples, each a function of the amount."""

    def losses_at(rows, amounts):
        each = np.broadcast_to(amounts, (len(rows), np.shape(amounts)[-1]))
        return np.array([functions[k](x) for k, x in zip(rows, each, strict=True)])

    return losses_at


def falling(x):
    return 2 + 40 / x**0.3


def turning(x):
    return 2 + np.log(x / 300) ** 2  # least at 300


def test_a_falling_loss_is_reached_where_its_formula_says() -> None:
    targets = np.array([falling(7.0), falling(1e4), falling(0.01)])
    needed = amount_needed(lines(*[falling] * 3), 100.0, targets)
    assert needed == pytest.approx([7.0, 1e4, 0.01], rel=1e-3)


def test_a_loss_that_turns_is_reached_on_its_way_down_however_narrow_the_tip() -> None:
    amounts = [270.0, 150.0]
    needed = amount_needed(
        lines(turning, turning), 100.0, np.array([turning(np.array(x)) for x in amounts])
    )
    assert needed == pytest.approx(amounts, rel=0.02)
    assert amount_needed(lines(turning), 100.0, np.array([1.99])) == np.inf


def test_the_ends_of_the_search_and_unknown_losses() -> None:
    def unknown(x):
        return np.where(x > 1e5, np.nan, falling(x))

    functions = (falling, falling, falling, unknown)
    targets = np.array([1.9, falling(100 / REACH) + 1, np.nan, falling(7.0)])
    needed = amount_needed(lines(*functions), 100.0, targets)
    assert needed[0] == np.inf and needed[1] == pytest.approx(100 / REACH)
    assert np.isnan(needed[2:]).all()
