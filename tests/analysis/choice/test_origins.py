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


def test_checkpoints_of_a_run_stand_on_one_side():
    size, step = (g.ravel() for g in np.meshgrid(np.geomspace(1, 81, 5), np.arange(1.0, 13)))
    budget, run = size * step, np.unique(size, return_inverse=True)[1]
    origins = budget_origins(budget, fewest=6, run=run)
    assert [len(np.unique(run[o.seen])) for o in origins] == [4, 3]  # of fewer runs no law is told
    for origin in origins:
        assert not set(run[origin.seen]) & set(run[~origin.seen])
        assert (budget[origin.asked] > budget[origin.seen].max()).all()
        assert (origin.distance[origin.asked] > 0).all() and not origin.asked[origin.seen].any()
    assert budget_origins(budget, fewest=6)[0].seen.sum() > origins[0].seen.sum()


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
