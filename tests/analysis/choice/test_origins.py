import numpy as np

from scalinglab.analysis.choice.origins import budget_origins, group_origins, in_window, levels


def test_runs_near_the_largest_are_one_budget_and_no_budget_has_fewer_than_three():
    flops = np.repeat([1e18, 1e19, 1e20], 4) * np.tile([0.8, 0.9, 1.0, 1.1], 3)
    np.testing.assert_array_equal(levels(flops), np.repeat([0, 1, 2], 4))
    ladder = np.geomspace(1e17, 1e21, 10)  # a budget a run
    np.testing.assert_array_equal(levels(ladder), [0, 0, 0, 0, 1, 1, 1, 2, 2, 2])


def test_origins_leave_out_the_top_budgets_as_far_as_points_last():
    budget = np.repeat(np.geomspace(1e16, 1e20, 9), 3)
    origins = budget_origins(budget, fewest=6)
    assert [int(o.seen.sum()) for o in origins] == [24, 21, 18, 15, 12, 9]
    for origin in origins:
        assert budget[origin.seen].max() < budget[~origin.seen].min()
        assert (origin.distance[~origin.seen] > 0).all()
        np.testing.assert_allclose(origin.below, origin.distance.max())
    assert budget_origins(budget[:6], fewest=6) == []


def test_a_window_leaves_out_the_smallest_of_what_is_seen():
    budget = np.arange(1.0, 11)
    seen = budget <= 8
    np.testing.assert_array_equal(budget[in_window(budget, seen, 0.5)], [5, 6, 7, 8])
    np.testing.assert_array_equal(in_window(budget, seen, 0.0), seen)


def test_groups_are_left_out_in_turn():
    schedules = np.array(["cosine"] * 3 + ["wsd"] * 2 + ["constant"])
    origins = group_origins(schedules)
    assert [o.label for o in origins] == ["constant", "cosine", "wsd"]
    assert [(~o.seen).sum() for o in origins] == [1, 3, 2]
    assert group_origins(schedules[:5]) == []  # of two, each would be alone
