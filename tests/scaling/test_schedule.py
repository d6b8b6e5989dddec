"""The LR is a pure function of the step: exact areas, no wasted step, canonical prefixes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling.config import ConfigError, ScheduleConfig
from scaling.schedule import (
    KINDS,
    SHAPES,
    Piece,
    branch_points,
    build_pieces,
    lr_array,
    prefix,
    shared_steps,
)

rates = st.floats(1e-6, 1.0)
pieces = st.lists(
    st.builds(Piece, st.sampled_from(["linear", "cosine", "sqrt"]), st.integers(1, 30), rates, rates)
    | st.builds(lambda n, lr: Piece("constant", n, lr, lr), st.integers(1, 30), rates),
    min_size=1,
    max_size=4,
)


def build(kind="wsd", steps=100, peak=0.5, tokens_per_step=10, **changes):
    config = ScheduleConfig(**({"kind": kind, "warmup_tokens": 100} | changes))
    return build_pieces(config, peak, steps, tokens_per_step)


# ---------------------------------------------------------------------- the array


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [11, 100, 101])
@pytest.mark.parametrize("warmup_tokens", [0, 1, 95, 100])
def test_pieces_sum_to_the_steps_of_the_run(kind, steps, warmup_tokens):
    parts = build(kind, steps, warmup_tokens=warmup_tokens, cooldown_fraction=0.09)
    assert sum(p.steps for p in parts) == len(lr_array(parts)) == steps
    assert all(p.steps > 0 for p in parts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warmup_tokens", [0, 100])
def test_no_step_is_wasted_at_rate_zero(kind, warmup_tokens):
    lr = lr_array(build(kind, warmup_tokens=warmup_tokens))
    assert lr.min() > 0 and lr.max() <= 0.5


def test_a_schedule_by_hand():
    lr = lr_array(build("wsd", steps=8, peak=1.0, warmup_tokens=20, cooldown_fraction=0.5))
    assert lr.tolist() == [0.25, 0.75, 1, 1, 0.875, 0.625, 0.375, 0.125]


@given(steps=st.integers(1, 200), start=rates, end=rates)
def test_the_area_of_linear_and_cosine_is_their_exact_integral(steps, start, end):
    """Both are symmetric about their middle, so the mean rate is that of the two ends."""
    for shape in ("linear", "cosine"):
        area = lr_array([Piece(shape, steps, start, end)]).sum()
        assert area == pytest.approx(steps * (start + end) / 2, rel=1e-12)


def test_the_area_of_a_square_root_cooldown_approaches_its_integral():
    area = lr_array([Piece("sqrt", 10_000, 1.0, 0.0)]).sum() / 10_000
    assert area == pytest.approx(1 - 2 / 3, rel=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_starts_at_its_start_and_moves_one_way(shape):
    lr = lr_array([Piece(shape, 1000, 1.0, 0.25)])
    assert lr[0] == pytest.approx(1.0, abs=0.03)
    assert np.all(np.diff(lr) <= 0)
    assert shape == "constant" or lr[-1] == pytest.approx(0.25, abs=0.01)


def test_final_ratio_is_the_last_rate_over_the_peak():
    for kind in ("linear", "cosine", "wsd"):
        assert build(kind, peak=0.5, final_ratio=0.1)[-1].end == pytest.approx(0.05)


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "wds"}, r"schedule\.kind = 'wds' is not one of: constant, linear, cosine, wsd"),
        (
            {"warmup_tokens": 1000},
            r"schedule\.warmup_tokens = 1000 is 100 steps, longer than the run of 100 steps.*"
            r"allowed is less than 1000",
        ),
        ({"warmup_tokens": -1}, r"schedule\.warmup_tokens = -1: allowed is >= 0"),
        (
            {"cooldown_fraction": 0.95},
            r"schedule\.cooldown_fraction = 0.95 is 95 of 100.*allowed is 1 to 90 steps",
        ),
        ({"cooldown_fraction": 0.0}, r"schedule\.cooldown_fraction = 0.0 .*allowed is 1 to 90"),
        ({"cooldown_fraction": -0.5}, r"schedule\.cooldown_fraction = -0.5 .*allowed is 1 to 90"),
        ({"cooldown_shape": "exp"}, r"schedule\.cooldown_shape = 'exp' is not one of: linear, sq"),
        ({"final_ratio": 1.5}, r"schedule\.final_ratio = 1.5: allowed is 0 to 1"),
        ({"final_ratio": math.nan}, r"schedule\.final_ratio = nan: allowed is 0 to 1"),
    ],
    ids=str,
)
def test_mistakes_name_the_key_and_what_is_allowed(changes, message):
    with pytest.raises(ConfigError, match=message):
        build(**changes)


# ---------------------------------------------------------------------- prefixes


@given(pieces, st.data())
def test_equal_prefixes_are_equal_rates(parts, data):
    """Shared prefix ids mean that the very same updates were made."""
    other = data.draw(pieces)
    steps = min(sum(p.steps for p in parts), sum(p.steps for p in other))
    for step in range(steps + 1):
        if prefix(parts, step) == prefix(other, step):
            assert np.array_equal(lr_array(parts)[:step], lr_array(other)[:step])


@given(pieces, st.integers(1, 20))
def test_what_comes_after_a_piece_does_not_change_the_prefix(parts, extra):
    longer = [*parts, Piece("linear", extra, 0.5, 0.1)]
    for step in range(sum(p.steps for p in parts) + 1):
        assert prefix(parts, step) == prefix(longer, step)


def test_a_constant_stretch_is_known_by_what_has_passed_of_it():
    whole = [Piece("constant", 10, 1.0, 1.0)]
    assert prefix(whole, 4) == prefix([Piece("constant", 4, 1.0, 1.0)], 4)
    assert prefix(whole, 10) == prefix([Piece("constant", n, 1.0, 1.0) for n in (3, 7)], 10)
    assert prefix(whole, 4) == prefix([Piece("cosine", 5, 1.0, 1.0)], 4)  # it never moves
    assert prefix(whole, 4) != prefix([Piece("constant", 10, 2.0, 2.0)], 4)


def test_a_piece_of_no_steps_is_no_piece():
    parts = [Piece("linear", 3, 0.0, 1.0), Piece("constant", 4, 1.0, 1.0)]
    padded = [p for part in parts for p in (Piece("linear", 0, 9.0, 1.0), part)]
    assert np.array_equal(lr_array(padded), lr_array(parts))
    assert all(prefix(padded, step) == prefix(parts, step) for step in range(8))


def test_any_other_piece_is_known_by_its_whole_form():
    decay = Piece("linear", 10, 1.0, 0.0)
    assert prefix([decay], 4) == prefix([decay, Piece("constant", 3, 0.1, 0.1)], 4)
    assert prefix([decay], 4) != prefix([decay], 5)
    for other in (Piece("linear", 11, 1.0, 0.0), Piece("sqrt", 10, 1.0, 0.0)):
        assert prefix([decay], 4) != prefix([other], 4)


def test_the_prefix_at_zero_is_empty_and_one_beyond_the_end_is_an_error():
    assert prefix([Piece("linear", 3, 0.0, 1.0)], 0) == []
    with pytest.raises(ValueError, match="step 4 lies beyond the schedule's 3 steps"):
        prefix([Piece("linear", 3, 0.0, 1.0)], 4)


@given(pieces, pieces)
def test_shared_steps_is_the_last_step_with_equal_prefixes(one, other):
    steps = min(sum(p.steps for p in one), sum(p.steps for p in other))
    equal = [s for s in range(steps + 1) if prefix(one, s) == prefix(other, s)]
    assert shared_steps(one, other) == equal[-1]
    assert equal == list(range(equal[-1] + 1))  # once parted, for ever parted


def test_wsd_runs_branch_where_the_cooldown_starts():
    assert branch_points(build("wsd", cooldown_fraction=0.2)) == [80]
    assert branch_points(build("constant")) == [100]
    assert branch_points(build("cosine")) == []


# ---------------------------------------------------------------------- areas
