"""Whether both arms were tuned alike, and which runs are free of the choice of the best trial."""

from __future__ import annotations

import numpy as np
import pytest

from scalinglab.analysis.transfer.judge import judge
from scalinglab.scaling.errors import UserError
from tests.analysis.transfer.ladders import BEST, LRS, ladder, question


def test_only_seeds_that_chose_nothing_count() -> None:
    """The best of many equal trials looks better than it is; its reruns do not."""
    runs = ladder(fresh=())
    found = judge(runs, question())
    assert "0 of 4 sizes" in found.sentence() and found.measured is None
    fresh = found.next_runs.iloc[0]
    assert fresh["seed"] == [2, 3] and fresh["arms"] == ["old", "new"]
    # The runs that chose may say what they like.
    lucky = ladder()
    lucky.loc[(lucky["arm"] == "new") & (lucky["seed"] < 2), "loss"] *= 0.9
    honest = judge(ladder(), question())
    found = judge(lucky, question())
    assert found.measured is not None and honest.measured is not None
    np.testing.assert_allclose(
        found.measured.sizes["multiplier"], honest.measured.sizes["multiplier"]
    )


def test_a_column_says_which_runs_are_fresh_as_files_say_it() -> None:
    """As text, true and false are what they say; what is neither is refused by its row."""
    runs = ladder()
    runs["fresh"] = np.where(runs["seed"] < 2, "False", "True")
    by_seeds, by_column = judge(ladder(), question()), judge(runs, question())
    assert by_column.trials["fresh"].tolist() == by_seeds.trials["fresh"].tolist()
    runs["fresh"] = "maybe"
    with pytest.raises(UserError, match="'fresh' must hold true or false; row 0 has 'maybe'"):
        judge(runs, question())


def test_without_an_interval_no_ends_are_told() -> None:
    """One pair a size shows no noise: the facts have a multiplier without ends."""
    runs = ladder()
    one_each = runs[runs["seed"] <= 2]
    flops = judge(one_each, question()).facts()["flops"]
    assert flops["multiplier"]["value"] > 0
    assert np.isnan([flops["multiplier"]["lower"], flops["multiplier"]["upper"]]).all()


def test_arms_with_different_numbers_of_trials_cannot_be_told() -> None:
    runs = ladder(fresh=range(2, 14))
    fewer = runs[(runs["arm"] == "new") | runs["lr"].isin(LRS[1:4])]
    found = judge(fewer, question())
    assert str(found.verdict) == "cannot tell" and found.next_runs.empty
    assert "old had 3 trials and new 5: give both as many" in found.sentence()
    assert str(judge(fewer, question(tuning="elsewhere")).verdict) == "transfers"


def test_two_sizes_must_have_been_tuned() -> None:
    runs = ladder(fresh=range(2, 14))
    once = runs[(runs["lr"] == BEST) | (runs["N"] == runs["N"].min())]
    assert "tuned at 1 sizes" in judge(once, question()).sentence()
    twice = runs[(runs["lr"] == BEST) | (runs["N"] < runs["N"].median())]
    assert str(judge(twice, question()).verdict) == "transfers"


def test_an_optimum_on_the_edge_of_its_grid_cannot_be_told() -> None:
    lrs = (BEST / 16, BEST / 8, BEST / 4, BEST / 2, BEST)
    found = judge(ladder(lrs=lrs), question())
    assert str(found.verdict) == "cannot tell"
    assert "the best lr is the highest of 5 values" in found.sentence()


@pytest.mark.parametrize("ruled", [True, False])
def test_an_optimum_that_moves_needs_a_rule(ruled) -> None:
    """The chosen values follow a power of N, or jump where the optimum moves."""
    runs = ladder(fresh=range(2, 14))
    size = runs["N"].rank(method="dense").astype(int) - 1
    shift = size if ruled else np.where(size == 3, 3, 0)
    found = judge(runs.assign(lr=runs["lr"] * 0.5**shift), question())
    moves = [reason for reason in found.reasons if "follow no power of N" in reason]
    assert bool(moves) is not ruled
    assert (str(found.verdict) == "cannot tell") is not ruled


def test_a_trial_that_diverged_counts_as_a_trial() -> None:
    runs = ladder(fresh=range(2, 14))
    lost = runs["lr"] == LRS[-1]
    found = judge(runs.assign(status=np.where(lost, "diverged", "done")), question())
    assert str(found.verdict) == "transfers" and set(found.trials["trials"]) == {5}
