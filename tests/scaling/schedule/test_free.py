"""Schedules that are written down whole say every step; their content is the run's identity."""

import numpy as np
import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.schedule.build import build_pieces
from scalinglab.scaling.schedule.pieces import lr_array, prefix, shared_steps
from scalinglab.scaling.schedule.schedule import ScheduleConfig


def build(steps=100, peak=0.5, **values):
    return build_pieces(from_dict(ScheduleConfig, values, "schedule"), peak, steps, 10)


WSD = build(kind="wsd", warmup_tokens=100, cooldown_fraction=0.2, cooldown_shape="sqrt")
PIECES = [
    {"shape": "linear", "tokens": 100, "end": 1},
    {},
    {"shape": "sqrt", "fraction": 0.2, "end": 0},
]
BEFORE = {"kind": "cosine", "warmup_tokens": 100, "tokens": 600}


# ---------------------------------------------------------------------- pieces


def test_pieces_can_spell_any_other_schedule():
    assert build(kind="pieces", pieces=PIECES) == WSD


def test_a_piece_may_jump():
    parts = build(kind="pieces", pieces=[{"start": 1, "tokens": 400}, {"start": 0.1}])
    assert np.array_equal(lr_array(parts), np.repeat([0.5, 0.05], [40, 60]))


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ([], r"schedule\.pieces is empty"),
        ([{}, {}], r"leave 100 of the run's 100 steps to 2 pieces without"),
        ([{"tokens": 500, "start": 1}], r"leave 50 of the run's 100 steps to 0 pieces"),
        ([{"fraction": 0.7}, {"fraction": 0.7}], r"leave -40 of the run's 100"),
        ([{"tokens": 5000}], r"pieces\[0\]\.tokens = 5000 is 500 steps; allowed is up to"),
        ([{"tokens": 5, "fraction": 0.1}], r"schedule\.pieces\[0\] has tokens and a fraction"),
        ([{"fraction": 1.5}], r"schedule\.pieces\[0\]\.fraction = 1\.5: allowed is 0 to 1"),
        ([{"shape": "log"}], r"schedule\.pieces\[0\]\.shape = 'log' is not one of: constant, lin"),
        ([{"shape": "exponential", "end": 0, "start": 1}], r"never reaches zero"),
        ([{"shape": "exponential", "end": 1}], r"needs a start above 0"),
        ([{"end": -1}], r"pieces\[0\]\.end = -1\.0: allowed is 0 or more"),
        ([{"length": 3}], r"unknown key 'schedule\.pieces\[0\]\.length'|unknown key"),
    ],
    ids=str,
)
def test_what_is_wrong_with_pieces_is_named(pieces, message):
    with pytest.raises(ConfigError, match=message):
        build(kind="pieces", pieces=pieces)


# ---------------------------------------------------------------------- rewarm


def test_a_rewarmed_run_begins_as_the_run_before_it():
    former = build(60, **{k: v for k, v in BEFORE.items() if k != "tokens"})
    whole = build(kind="rewarm", before=BEFORE, rewarm_tokens=100, cooldown_shape="linear")
    assert shared_steps(former, whole) == 60
    assert prefix(former, 60) == prefix(whole, 60)
    assert [(p.steps, p.start, p.end) for p in whole[-2:]] == [(10, 0.0, 0.5), (30, 0.5, 0.0)]


def test_the_run_before_may_have_had_another_peak():
    whole = build(kind="rewarm", before=BEFORE | {"lr": 0.25})
    assert lr_array(whole)[:60].max() < 0.25 < lr_array(whole)[60:].max()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"schedule\.before = \{\}: schedule\.kind = 'rewarm' needs the schedule of the run"),
        ({"before": {"kind": "cosine"}}, r"with its tokens"),
        ({"before": BEFORE | {"tokens": 1000}}, r"schedule\.before\.tokens = 1000 is 100 steps"),
        ({"before": BEFORE, "rewarm_tokens": 400}, r"schedule\.rewarm_tokens = 400 is 40 steps"),
        ({"before": BEFORE | {"knd": 1}}, r"unknown key 'schedule\.before\.knd'"),
    ],
    ids=str,
)
def test_what_is_wrong_with_a_rewarmed_run_is_named(values, message):
    with pytest.raises(ConfigError, match=message):
        build(kind="rewarm", **values)


# ---------------------------------------------------------------------- files


@pytest.fixture
def write(tmp_path):
    def file(text: str | np.ndarray, name: str = "lr.csv") -> str:
        path = tmp_path / name
        np.save(path, text) if isinstance(text, np.ndarray) else path.write_text(text)
        return str(path)

    return file


def test_an_array_is_the_schedule(write):
    lr = np.round(np.random.default_rng(0).uniform(0.1, 1, 100), 6)
    parts = build(kind="file", path=write(lr, "lr.npy"))
    assert np.array_equal(lr_array(parts), lr)


def test_the_content_is_the_identity_and_not_the_path(write):
    lr = np.linspace(1, 0.1, 100)
    ids = [
        prefix(build(kind="file", path=write(values, name)), 100)
        for values, name in ((lr, "a.npy"), (lr, "b.npy"), (lr * 1.001, "c.npy"))
    ]
    assert ids[0] == ids[1] != ids[2]


def test_a_table_of_fractions_serves_any_length(write):
    path = write("fraction,ratio\n0,0\n0.1,1\n0.8,1\n1,0\n")
    trapezoid = {"kind": "wsd", "cooldown_fraction": 0.2}
    for steps in (100, 250):
        same = build(steps, **trapezoid, warmup_tokens=steps)
        assert lr_array(build(steps, kind="file", path=path)) == pytest.approx(lr_array(same))


def test_a_table_of_steps_lies_on_straight_lines(write):
    lr = lr_array(build(kind="file", path=write("step,lr\n0,1\n50,0.5\n99,0.01\n")))
    assert lr[[0, 25, 50, 99]] == pytest.approx([1, 0.75, 0.5, 0.01])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr\n1\n2\n", r"has 2 rates for a run of 100 steps; allowed is one a step, or a column"),
        (
            "step,lr\n0,1\n50,1\n",
            r"column 'step' goes from 0 to 50; allowed are rising values from"
            r" 0 to 99",
        ),
        ("fraction,lr\n0,1\n0.5,1\n0.4,1\n", r"column 'fraction' goes from 0 to 0\.4"),
        ("fraction,lr\n0,1\n1,-1\n", r"allowed are finite ones >= 0, not all zero"),
        ("fraction,rate\n0,1\n1,1\n", r"has fraction, rate: it needs a column lr or ratio"),
        ("fraction,lr\n0,x\n1,1\n", r"is not a table of numbers with a line of column names"),
        ("", r"is not a table of numbers"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(write, text, message):
    with pytest.raises(ConfigError, match=message):
        build(kind="file", path=write(text))


def test_a_file_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match=r"schedule\.path is not set"):
        build(kind="file")
    with pytest.raises(ConfigError, match=r"there is no such file"):
        build(kind="file", path=str(tmp_path / "x.csv"))
