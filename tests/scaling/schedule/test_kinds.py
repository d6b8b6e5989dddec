"""Named schedules: every kind fills its run, has its published form, and is another's limit."""

import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import keys_of
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.schedule.build import build_pieces
from scalinglab.scaling.schedule.pieces import branch_points, lr_array, shared_steps
from scalinglab.scaling.schedule.room import COOLDOWN_SHAPES
from scalinglab.scaling.schedule.schedule import SCHEDULES, ScheduleConfig
from scalinglab.scaling.schedule.stretches import WarmedConfig
from scalinglab.scaling.training.events import validation_steps

SHIPPED = sorted(Path("conf/schedule").glob("*.yaml"))
# What a kind cannot do without.
NEEDS = {"power": {"coefficient": 4.0}}
KINDS = [name for name, kind in SCHEDULES.items() if issubclass(kind, WarmedConfig)]


def build(kind="wsd", steps=100, peak=0.5, tokens_per_step=10, **changes):
    values = {"kind": kind, "warmup_tokens": 100} | NEEDS.get(kind, {}) | changes
    config = from_dict(ScheduleConfig, values, "schedule")
    return build_pieces(config, peak, steps, tokens_per_step)


def used(kind, **values):
    """Those of the keys that a kind has."""
    return {key: value for key, value in values.items() if key in keys_of(SCHEDULES[kind])}


def rates(*args, **changes):
    return lr_array(build(*args, **changes))


# ---------------------------------------------------------------------- every kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [11, 100, 101])
@pytest.mark.parametrize("warmup_tokens", [0, 1, 75, 80])
def test_pieces_sum_to_the_steps_of_the_run(kind, steps, warmup_tokens):
    more = used(kind, timescale_tokens=90, cycles=2, cooldown_fraction=0.09)
    parts = build(kind, steps, warmup_tokens=warmup_tokens, **more)
    assert sum(p.steps for p in parts) == len(lr_array(parts)) == steps
    assert all(p.steps > 0 for p in parts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("warmup_tokens", [0, 100])
def test_no_step_is_wasted_at_rate_zero(kind, warmup_tokens):
    lr = rates(kind, warmup_tokens=warmup_tokens, **used(kind, timescale_tokens=100))
    assert lr.min() > 0 and lr.max() <= 0.5


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_shipped_file_gives_a_schedule_of_its_name(path, tmp_path):
    values = yaml.safe_load(path.read_text())
    assert values["kind"] == path.stem
    if path.stem == "file":
        np.save(tmp_path / "lr.npy", np.linspace(0.1, 0.0, 512))
        values["path"] = str(tmp_path / "lr.npy")
    parts = build_pieces(from_dict(ScheduleConfig, values), 0.01, 512, 2048)
    assert sum(p.steps for p in parts) == 512 == validation_steps(parts)[-1]


def test_there_is_a_file_for_every_kind():
    assert {path.stem for path in SHIPPED} == set(SCHEDULES)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_a_file_has_the_keys_of_its_kind_and_no_others(path):
    """So each can be set on the command line, and none is left behind by another choice."""
    assert set(yaml.safe_load(path.read_text())) == set(keys_of(SCHEDULES[path.stem]))


@pytest.mark.parametrize("kind", SCHEDULES)
def test_a_kind_knows_its_name(kind):
    assert SCHEDULES[kind].kind == kind


@pytest.mark.parametrize("shape", COOLDOWN_SHAPES)
def test_cooldowns_of_every_shape_share_the_trunk(shape):
    parts = build("wsd", cooldown_shape=shape, final_ratio=0.1)
    assert parts[-1].shape == shape and parts[-1].end == pytest.approx(0.05)
    assert shared_steps(parts, build("wsd", 200)) == 80


def test_a_schedule_by_hand():
    lr = rates("wsd", steps=8, peak=1.0, warmup_tokens=20, cooldown_fraction=0.5)
    assert lr.tolist() == [0.25, 0.75, 1, 1, 0.875, 0.625, 0.375, 0.125]


def test_final_ratio_is_the_last_rate_over_the_peak():
    for kind in ("linear", "cosine", "wsd"):
        assert build(kind, peak=0.5, final_ratio=0.1)[-1].end == pytest.approx(0.05)


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "wds"}, r"schedule\.kind = 'wds' is not one of: constant, cosine, cyclic"),
        (
            {"warmup_tokens": 1000},
            r"schedule\.warmup_tokens = 1000 is 100 steps, longer than the run of 100 steps.*"
            r"allowed is less than 1000",
        ),
        ({"warmup_tokens": -1}, r"schedule\.warmup_tokens = -1: allowed is 0 or more"),
        (
            {"cooldown_fraction": 0.95},
            r"schedule\.cooldown_fraction = 0.95 is 95 of 100.*allowed is 1 to 90 steps",
        ),
        ({"cooldown_fraction": 0.0}, r"schedule\.cooldown_fraction = 0.0 .*allowed is 1 to 90"),
        ({"cooldown_fraction": -0.5}, r"schedule\.cooldown_fraction = -0.5: allowed is 0 to 1"),
        ({"cooldown_shape": "exp"}, r"schedule\.cooldown_shape = 'exp' is not one of: linear, sq"),
        ({"final_ratio": 1.5}, r"schedule\.final_ratio = 1.5: allowed is 0 to 1"),
        ({"cooldown_shape": "exponential"}, r"'exponential' never reaches zero: it needs a final"),
        (
            {"kind": "multistep", "milestones": [0.05]},
            r"schedule\.milestones = \[0\.05\] are the "
            r"steps \[5\] of 100; allowed are rising fractions of the run after the warm-up of 10",
        ),
        ({"kind": "multistep", "milestones": [0.9, 0.8]}, r"schedule\.milestones"),
        ({"kind": "multistep", "factor": 0.0}, r"schedule\.factor = 0\.0: allowed is above 0"),
        ({"kind": "inverse_sqrt", "warmup_tokens": 0}, r"falls from step 0 on.*at least 10$"),
        ({"kind": "inverse_sqrt", "timescale_tokens": 50}, r"the warm-up has 10 steps.*least 100$"),
        ({"kind": "inverse_sqrt", "cooldown_fraction": 0.95}, r"allowed is 0 to 90 steps"),
        ({"kind": "power", "coefficient": None}, r"schedule\.kind = 'power' needs one above 0"),
        (
            {"kind": "infinite", "cool_tokens": 800},
            r"schedule\.cool_tokens = 800 is 80 steps; "
            r"allowed is up to 70 steps",
        ),
        ({"kind": "infinite", "hold_ratio": 0.0}, r"hold_ratio = 0\.0: allowed is above"),
        ({"kind": "cyclic", "cycles": 0}, r"schedule\.cycles = 0: allowed is 1 or more"),
        ({"kind": "cyclic", "rewarm_tokens": 300}, r"rewarm_tokens = 300 is 30 steps; al"),
        ({"final_ratio": math.nan}, r"schedule\.final_ratio = nan: expected a finite number"),
        ({"kind": "cyclic", "cycles": 91}, r"schedule\.cycles = 91: allowed is 1 to 90"),
        (
            {"kind": "cosine", "cooldown_fraction": 0.9},
            r"schedule\.cooldown_fraction = 0\.9: schedule\.kind = 'cosine' does not use it; it uses "
            r"final_ratio, warmup_tokens$",
        ),
        ({"kind": "cosine", "cycles": 7}, r"schedule\.cycles = 7: .* 'cosine' does not use it"),
        ({"kind": "pieces"}, r"warmup_tokens = 100: schedule\.kind = 'pieces' .*; it uses pieces$"),
        ({"kind": "wsd", "final_rate": 0.1}, r"did you mean 'schedule\.final_ratio'"),
    ],
    ids=str,
)
def test_mistakes_name_the_key_and_what_is_allowed(changes, message):
    with pytest.raises(ConfigError, match=message):
        build(**changes)


# ---------------------------------------------------------------------- published forms


def test_inverse_sqrt_is_the_one_of_the_transformer():
    """min(n^-1/2, n w^-3/2) over its peak, w^-1/2 (arXiv 1706.03762, equation 3)."""
    n = np.arange(100) + 0.5
    published = np.minimum(n**-0.5, n * 10**-1.5) / 10**-0.5
    assert rates("inverse_sqrt", peak=1.0, cooldown_fraction=0.0) == pytest.approx(published)


@pytest.mark.parametrize("coefficient", [4.0, 40.0, 1e3])
def test_power_is_the_power_scheduler(coefficient):
    """min(eta_max, batch a n^-b) after a warm-up to it (arXiv 2408.13359)."""
    lr = rates("power", coefficient=coefficient, cooldown_fraction=0.1)
    n = 10 * (np.arange(100) + 0.5)
    law = np.minimum(0.5, coefficient * n**-0.51)
    # The step in which the law leaves the peak is flat to its end.
    assert np.abs(lr[10:90] / law[10:90] - 1).max() < 0.01
    top = min(0.5, coefficient * 100**-0.51)
    assert lr[:10] == pytest.approx(top * n[:10] / 100)


def test_multistep_is_deepseeks():
    """To 31.6 % of the peak after 80 % of the tokens and to 10 % after 90 % (arXiv 2401.02954)."""
    lr = rates("multistep", peak=1.0, warmup_tokens=0)
    assert lr[79] == 1 and lr[80] == lr[89] == pytest.approx(0.316, abs=5e-4)
    assert lr[90] == lr[99] == pytest.approx(0.1)
    assert branch_points(build("multistep", warmup_tokens=0)) == [80, 90, 100]


def test_infinite_cools_holds_and_anneals():
    parts = build(
        "infinite",
        cool_tokens=300,
        cool_shape="inverse_sqrt",
        hold_ratio=0.3,
        cooldown_shape="exponential",
        final_ratio=0.03,
    )
    assert [(p.shape, p.steps) for p in parts] == [
        ("linear", 10),
        ("inverse_sqrt", 30),
        ("constant", 40),
        ("exponential", 20),
    ]
    assert [p.end for p in parts] == pytest.approx([0.5, 0.15, 0.15, 0.015])


def test_runs_of_open_schedules_share_what_they_have_in_common():
    """Their trunk has no length of its own: a longer run goes on where a shorter one cooled."""
    for kind in ("wsd", "inverse_sqrt", "power", "infinite"):
        more = used(kind, cool_tokens=100, cooldown_shape="linear")
        assert shared_steps(build(kind, 100, **more), build(kind, 300, **more)) == 80


def test_cycles_begin_at_the_peak_again():
    lr = rates("cyclic", warmup_tokens=0, cycles=4, cooldown_shape="cosine")
    assert np.array_equal(lr, np.tile(lr[:25], 4))
    warm = build("cyclic", warmup_tokens=0, cycles=2, rewarm_tokens=100, final_ratio=0.2)
    assert [(p.steps, p.start, p.end) for p in warm] == [
        (50, 0.5, 0.1),
        (10, 0.1, 0.5),
        (40, 0.5, 0.1),
    ]


# ---------------------------------------------------------------------- one is another's limit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"kind": "wsd", "cooldown_fraction": 0.9}, {"kind": "linear"}),
        ({"kind": "wsd", "cooldown_fraction": 0.9, "cooldown_shape": "cosine"}, {"kind": "cosine"}),
        ({"kind": "wsd", "final_ratio": 1.0}, {"kind": "constant"}),
        ({"kind": "multistep", "factor": 1.0}, {"kind": "constant"}),
        ({"kind": "infinite", "hold_ratio": 1.0, "cool_tokens": 100}, {"kind": "wsd"}),
        (
            {"kind": "infinite", "cooldown_fraction": 0.0, "cool_tokens": 900, "hold_ratio": 0.5},
            {"kind": "cosine", "final_ratio": 0.5},
        ),
        ({"kind": "cyclic", "cycles": 1, "cooldown_shape": "cosine"}, {"kind": "cosine"}),
        ({"kind": "power", "coefficient": 1e3}, {"kind": "wsd"}),  # it never leaves the peak
        ({"kind": "inverse_sqrt", "timescale_tokens": 1000}, {"kind": "wsd"}),
    ],
    ids=lambda c: "-".join(map(str, c.values())),
)
def test_limit_cases_are_equal_bit_for_bit(one, other):
    assert np.array_equal(rates(**one), rates(**other))


def test_wsd_runs_branch_where_the_cooldown_starts():
    assert branch_points(build("wsd", cooldown_fraction=0.2)) == [80]
    assert branch_points(build("constant")) == [100]
    assert branch_points(build("cosine")) == []
