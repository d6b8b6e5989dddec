"""S1 and S2 of a schedule are those that the curve law counts; pictures show what is there."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scalinglab.analysis.reporting.schedules import areas, blocks, draw_schedules, schedule_table
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.schedule.build import build_pieces
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.schedule.schedule import ScheduleConfig


def rates(kind: str, **changes) -> np.ndarray:
    values = {"kind": kind, "warmup_tokens": changes.pop("warmup", 0)} | changes
    config = from_dict(ScheduleConfig, values, "schedule")
    return lr_array(build_pieces(config, 0.5, 200, 1))


def by_hand(lr: np.ndarray, decay: float) -> float:
    momentum = total = 0.0
    for before, after in itertools.pairwise(lr):
        momentum = decay * momentum + before - after
        total += momentum
    return total


def test_a_constant_rate_has_its_rectangle_and_no_annealing() -> None:
    assert areas(rates("constant")) == pytest.approx((100.0, 0.0))


@pytest.mark.parametrize("kind", ["linear", "cosine", "wsd", "multistep", "cyclic"])
@pytest.mark.parametrize("decay", [0.0, 0.9, 0.999])
def test_s2_is_its_definition_summed(kind: str, decay: float) -> None:
    lr = rates(kind)
    s1, s2 = areas(lr, decay)
    assert s1 == pytest.approx(lr.sum(), rel=1e-12)
    assert s2 == pytest.approx(by_hand(lr, decay), rel=1e-9)


def test_without_momentum_s2_is_the_whole_drop() -> None:
    lr = rates("wsd")
    assert areas(lr, decay=0.0)[1] == pytest.approx(lr[0] - lr[-1])


def test_the_area_of_linear_to_zero_is_a_triangle() -> None:
    assert areas(rates("linear"))[0] == pytest.approx(0.5 * 200 / 2)


def test_warmup_counts_as_if_at_its_end() -> None:
    """arXiv 2408.11029: a warm-up of w steps adds w times the rate that it reaches."""
    with_warmup = areas(rates("constant", warmup=50))
    assert with_warmup[0] == pytest.approx(100, rel=1e-3) and with_warmup[1] == 0


def test_blocks_rise_and_fall_with_the_rate() -> None:
    line = blocks(rates("wsd", warmup=50, cooldown_fraction=0.25), width=8)
    assert line == "▂▆████▆▂"
    assert blocks(np.array([1.0, 0.0]), width=40) == "█ "


def test_a_row_a_schedule_and_a_line_in_the_picture() -> None:
    schedules = {"a": rates("linear"), "b": rates("cosine")}
    table = schedule_table(schedules)
    assert list(table["schedule"]) == ["a", "b"] and set(table["steps"]) == {200}
    drawn = draw_schedules(schedules).axes[0].lines
    assert [len(line.get_xdata()) for line in drawn] == [200, 200]
    by_name = {line.get_label(): line.get_ydata() for line in drawn}
    assert all(np.array_equal(by_name[name], schedules[name]) for name in schedules)
