"""Spikes and lost runs in curves that were made with them."""

from __future__ import annotations

import numpy as np
import pytest

from scalinglab.scaling.records.stability import DEVIATIONS, LEAST, WINDOW, rise, spikes, stability


def curve(steps=3000, noise=0.02):
    t = np.arange(1, steps + 1)
    return 2 + 3 * t**-0.3 + noise * np.random.default_rng(0).standard_normal(steps)


def test_spikes_are_found_where_they_were_made_and_nowhere_else():
    loss = curve()
    assert len(spikes(loss)) == 0
    loss[[1500, 2700]] += 1.0
    loss[2000] -= 1.0  # downwards is none
    assert spikes(loss).tolist() == [1501, 2701]


def test_every_step_is_compared_as_the_definition_says():
    """Against a loop, on a curve so rough that many stand out."""
    loss = np.random.default_rng(1).standard_t(1.5, 2500)
    expected = []
    for i in range(LEAST, len(loss)):
        before = loss[max(0, i - WINDOW) : i]
        if loss[i] > before.mean() + DEVIATIONS * before.std():
            expected.append(i + 1)
    assert len(expected) > 3 and spikes(loss).tolist() == expected


@pytest.mark.parametrize("values", [[], [1.0], [1.0] * 50, [1.0, np.nan] * 200], ids=len)
def test_too_few_values_and_none_at_all_are_no_spikes(values):
    assert len(spikes(np.array(values))) == 0


def test_a_run_that_was_lost_ends_above_where_it_had_been():
    loss = curve()
    assert 0 <= rise(loss) < 0.02
    loss[2000:] = 3.5
    assert rise(loss) == pytest.approx(3.5 - loss[1900:2000].mean(), abs=0.02)
    assert rise(loss[:150]) is None
    loss[-1] = np.nan
    assert rise(loss) is None


def test_a_record_has_counts():
    loss = curve()
    loss[1500] += 5
    found = stability(loss.astype(np.float32), np.full(3000, np.nan, np.float32))
    assert found["loss_spikes"] == 1 and found["grad_norm_spikes"] == 0
    assert 0 <= found["rise"] < 0.02
