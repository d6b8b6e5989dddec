"""The LR is a pure function of the step: exact areas, no wasted step, canonical prefixes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalinglab.scaling.records.identity import canonical_json
from scalinglab.scaling.schedule.pieces import (
    CURVES,
    SHAPES,
    Piece,
    branch_points,
    lr_array,
    plain,
    prefix,
    settled,
    shared_steps,
    top_rate,
)

rates = st.floats(1e-6, 1.0)
lengths = st.integers(1, 30)
pieces = st.lists(
    st.builds(
        Piece,
        st.sampled_from(sorted({*SHAPES, "exponential"} - {"constant"})),
        lengths,
        rates,
        rates,
    )
    | st.builds(lambda n, lr: Piece("constant", n, lr, lr), lengths, rates)
    | st.builds(
        lambda n, lr, e, s: Piece("power", n, lr, lr * 2.0**-e, e, s),
        lengths,
        rates,
        st.sampled_from([0.5, 1.0]),
        st.sampled_from([1.0, 8.0]),
    )
    | st.lists(rates, min_size=1, max_size=30).map(
        lambda lr: Piece("given", len(lr), lr[0], lr[-1], rates=lr)
    ),
    min_size=1,
    max_size=4,
)


# ---------------------------------------------------------------------- the array


@given(steps=st.integers(1, 200), start=rates, end=rates)
def test_the_area_of_symmetric_shapes_is_their_exact_integral(steps, start, end):
    """They are symmetric about their middle, so the mean rate is that of the two ends."""
    for shape in ("linear", "cosine", "mirror_cosine"):
        area = lr_array([Piece(shape, steps, start, end)]).sum()
        assert area == pytest.approx(steps * (start + end) / 2, rel=1e-12)


def test_the_area_of_a_square_root_cooldown_approaches_its_integral():
    area = lr_array([Piece("sqrt", 10_000, 1.0, 0.0)]).sum() / 10_000
    assert area == pytest.approx(1 - 2 / 3, rel=1e-4)


@given(steps=st.integers(1, 200))
def test_the_area_of_a_square_cooldown_in_closed_form(steps):
    """The mean of x^2 at the middles of n steps is 1/3 - 1/(12 n^2)."""
    area = lr_array([Piece("square", steps, 1.0, 0.0)]).sum() / steps
    assert area == pytest.approx(2 / 3 + 1 / (12 * steps**2), rel=1e-12)


@given(steps=st.integers(1, 200), ratio=st.floats(1e-3, 0.9))
def test_an_exponential_cooldown_is_a_geometric_series(steps, ratio):
    lr = lr_array([Piece("exponential", steps, 1.0, ratio)])
    factor = ratio ** (1 / steps)
    assert lr.sum() == pytest.approx(factor**0.5 * (1 - ratio) / (1 - factor), rel=1e-9)
    assert lr[1:] / lr[:-1] == pytest.approx(factor)


def test_mirror_cosine_and_cosine_lie_mirrored_about_linear():
    """2 linear - cosine, as in the paper's code (arXiv 2405.18392)."""
    linear, cosine, mirror = (
        lr_array([Piece(s, 100, 1.0, 0.1)]) for s in ("linear", "cosine", "mirror_cosine")
    )
    assert mirror == pytest.approx(2 * linear - cosine)


def test_the_inverse_square_root_falls_as_published():
    """eta_max + (eta_const - eta_max) / h(1) * h(x), h(x) = 1 / sqrt(1 + alpha x) - 1."""
    x = (np.arange(50) + 0.5) / 50
    h = 1 / np.sqrt(1 + 10 * x) - 1
    expected = 3.0 + (1.0 - 3.0) / (1 / np.sqrt(11) - 1) * h
    assert lr_array([Piece("inverse_sqrt", 50, 3.0, 1.0)]) == pytest.approx(expected)


def test_a_power_law_is_a_straight_line_on_logarithmic_axes():
    lr = lr_array([Piece("power", 1000, 0.5, 0.1, exponent=0.5, since=20.0)])
    passed = 20 + np.arange(1000) + 0.5
    assert lr == pytest.approx(0.5 * (passed / 20) ** -0.5)
    assert np.polyfit(np.log(passed), np.log(lr), 1)[0] == pytest.approx(-0.5)


def test_a_power_law_of_exponent_zero_is_a_constant():
    flat = Piece("power", 9, 0.5, 0.5, exponent=0.0, since=3.0)
    assert prefix([flat], 9) == prefix([Piece("constant", 9, 0.5, 0.5)], 9)
    assert set(lr_array([flat])) == {0.5}


def test_given_rates_are_what_they_are():
    lr = [0.1, 0.3, 0.2]
    piece = Piece("given", 3, 0.1, 0.2, rates=lr)
    assert lr_array([piece]).tolist() == lr
    assert top_rate([piece, Piece("linear", 2, 0.2, 0.0)]) == 0.3


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_starts_at_its_start_and_moves_one_way(shape):
    lr = lr_array([Piece(shape, 1000, 1.0, 0.25)])
    assert lr[0] == pytest.approx(1.0, abs=0.03)
    assert np.all(np.diff(lr) <= 0)
    assert shape == "constant" or lr[-1] == pytest.approx(0.25, abs=0.01)


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


def test_power_laws_of_any_length_share_their_first_steps():
    short, long = (Piece("power", n, 1.0, n**-0.5, 0.5, 4.0) for n in (10, 50))
    assert shared_steps([short], [long]) == 10
    assert branch_points([short, Piece("linear", 3, 0.3, 0.0)]) == [10]


def test_given_rates_are_known_by_their_content():
    one, same, other = (
        Piece("given", 3, 0.1, 0.1, rates=lr)
        for lr in ([0.1, 0.2, 0.1], (0.1, 0.2, 0.1), [0.1, 0.3, 0.1])
    )
    assert prefix([one], 2) == prefix([same], 2)
    assert prefix([one], 2) != prefix([other], 2)
    assert prefix([one], 3) != prefix([Piece("constant", 3, 0.1, 0.1)], 3)  # though it comes back


@given(pieces)
def test_plain_values_give_the_pieces_again_and_old_shapes_their_four_keys(parts):
    for piece in parts:
        values = plain(piece)
        canonical_json(values)
        assert np.array_equal(lr_array([Piece(**values)]), lr_array([piece]))
        if piece.shape not in CURVES:
            assert set(values) == {"shape", "steps", "start", "end"}


def test_ten_digits_settle_a_rate():
    assert settled(0.1 + 1e-13) == settled(0.1) == 0.1
