"""Of many effects, those that hold together are told apart from those that chance makes."""

from __future__ import annotations

import numpy as np
import pytest

from scalinglab.analysis.intervals.pairs import paired
from scalinglab.analysis.intervals.together import chances_together, together_in_words


def test_chances_are_stepped_down() -> None:
    """The worked sums: 4 x .01, 3 x .02, 2 x .03; .04 may not be below the one before."""
    assert chances_together(np.array([0.03, 0.01, 0.04, 0.02])) == pytest.approx(
        [0.06, 0.04, 0.06, 0.06]
    )
    assert chances_together(np.array([0.9, np.nan])).tolist() == [1.0, 1.0]


def test_many_effects_without_any_seldom_hold_together() -> None:
    rng = np.random.default_rng(0)
    alone = together = 0
    for _ in range(300):
        pairs = [paired(rng.normal(0, 1e-3, (3, 4)), 1e-4) for _ in range(20)]
        chances = np.array([pair.chance for pair in pairs])
        alone += bool((chances < 0.05).any())
        together += bool((chances_together(chances) < 0.05).any())
    assert alone > 0.5 * 300  # some of twenty nearly always, by themselves
    assert 0 < together < 0.08 * 300


def test_the_chance_and_the_interval_agree() -> None:
    rng = np.random.default_rng(1)
    for shift in np.linspace(0, 2e-3, 40):
        pair = paired(rng.normal(shift, 1e-3, (2, 3)), 1e-4)
        assert (pair.chance < 0.05) == (abs(pair.mean) > pair.half)


def test_the_sentence_names_what_does_not_hold_together() -> None:
    wobble = np.array([[-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]]) * 1e-3
    sure, unsure = paired(wobble + 0.05, 1e-3), paired(wobble + 2.6e-3, 1e-3)
    none = paired(wobble, 1e-3)
    assert unsure.resolved and not none.resolved
    assert together_in_words({"a": sure}) == ""
    assert together_in_words({"a": none, "b": none}) == ""
    assert "what is resolved holds for all 2 effects" in together_in_words({"a": sure, "b": none})
    many = {"a": sure, "b": unsure} | {f"n{i}": none for i in range(8)}
    assert "but for b, for all 10 effects together" in together_in_words(many)
    assert "none of what is resolved holds" in together_in_words(
        {k: v for k, v in many.items() if k != "a"}
    )
