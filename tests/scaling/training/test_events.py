"""Validation is measured on grids that look only backwards, so shared prefixes share them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.schedule.build import build_pieces
from scalinglab.scaling.schedule.pieces import Piece, branch_points, shared_steps
from scalinglab.scaling.schedule.schedule import ScheduleConfig
from scalinglab.scaling.training.events import FIRST, POINTS_A_PIECE, validation_steps

KINDS = ("constant", "cosine", "infinite", "inverse_sqrt", "linear", "multistep", "wsd")


def pieces(kind, steps, warmup=10, **changes):
    values = {"kind": kind, "warmup_tokens": warmup} | changes
    return build_pieces(from_dict(ScheduleConfig, values), 1.0, steps, 1)


lengths = st.integers(20, 3000)


@given(st.sampled_from(sorted(KINDS)), lengths)
def test_the_last_step_is_always_measured_and_none_beyond_it(kind, steps):
    planned = validation_steps(pieces(kind, steps))
    assert planned[-1] == steps
    assert planned == sorted(set(planned)) and planned[0] > 0


@given(lengths, lengths, st.sampled_from(["linear", "sqrt", "cosine"]))
def test_wsd_runs_measure_their_common_trunk_at_the_same_steps(one, other, shape):
    first, second = pieces("wsd", one), pieces("wsd", other, cooldown_shape=shape)
    branch = min(branch_points(first)[-1], branch_points(second)[-1])
    assert [s for s in validation_steps(first) if s <= branch] == [
        s for s in validation_steps(second) if s <= branch
    ]


@given(st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(KINDS)), lengths, lengths)
def test_any_two_runs_measure_what_they_share_at_the_same_steps(kind, other, n, m):
    """But for the end of the shorter one, if the longer one goes on from there."""
    one, two = pieces(kind, n), pieces(other, m)
    shared = shared_steps(one, two)
    ends = {n, m}
    assert {s for s in validation_steps(one) if s <= shared} - ends == {
        s for s in validation_steps(two) if s <= shared
    } - ends


def test_measurements_are_log_spaced_where_the_rate_is_constant():
    planned = validation_steps(pieces("constant", 5000))[:-1]
    ratios = [b / a for a, b in itertools.pairwise(planned)]
    assert planned[0] == FIRST
    assert ratios == pytest.approx([2**0.5] * len(ratios), rel=0.02)


def test_a_cooldown_is_measured_on_a_linear_grid_to_its_end():
    planned = validation_steps(pieces("wsd", 1000, cooldown_fraction=0.2))
    cooldown = [800 + 25 * j for j in range(1, POINTS_A_PIECE + 1)]
    assert [s for s in planned if s > 800] == cooldown


def test_a_short_piece_is_measured_at_each_of_its_steps():
    assert validation_steps([Piece("constant", 5, 1, 1), Piece("linear", 3, 1, 0)]) == [6, 7, 8]


def test_the_warmup_is_not_measured_on_the_grid():
    planned = validation_steps(pieces("constant", 1000, warmup=500))
    assert [s for s in planned if s < FIRST] == []
    assert len(planned) < 15


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_a_decay_is_measured_on_the_grid_whether_or_not_there_is_a_warmup(kind):
    """The loss moves with the rate there, wherever the decay stands in the schedule."""
    grid = [100 * j for j in range(1, POINTS_A_PIECE + 1)]
    assert set(grid) <= set(validation_steps(pieces(kind, 800, warmup=0)))
