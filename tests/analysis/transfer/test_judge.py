"""Does a change still help at a target."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.transfer.judge import judge
from scalinglab.analysis.transfer.question import TransferQuestion
from scalinglab.scaling.errors import UserError
from tests.analysis.transfer.ladders import TARGET, ladder, question


@pytest.mark.parametrize(
    ("multiplier", "verdict"),
    [
        ((1.3, 1.3), "transfers"),
        ((1.4, 1.0), "fades"),
        ((1.3, 0.7), "reverses"),
        ((1.0, 1.0), "cannot tell"),
    ],
)
def test_each_verdict_is_found(multiplier, verdict) -> None:
    found = judge(ladder(multiplier, fresh=range(2, 14)), question())
    assert str(found.verdict) == verdict, found.report()
    assert found.measured is not None and not found.reasons
    target = found.measured.flops.target
    assert target.lower < np.log(multiplier[1]) < target.upper
    assert found.sentence() in found.report() or found.sentence().capitalize() in found.report()


def test_seeds_that_both_arms_share_narrow_the_answer_and_are_estimated() -> None:
    together = judge(ladder(shared=2e-3, fresh=range(2, 14)), question())
    rng = np.random.default_rng(0)
    runs = ladder(shared=2e-3, fresh=range(2, 14))
    seeds = {s: int(t) for s, t in zip(range(2, 14), rng.permutation(range(2, 14)), strict=True)}
    shuffled = runs.assign(
        seed=[
            seeds.get(s, s) if arm == "new" else s
            for s, arm in zip(runs["seed"], runs["arm"], strict=True)
        ]
    )
    apart = judge(shuffled, question())
    assert together.measured is not None and apart.measured is not None
    assert together.measured.correlation > 0.9 > 0.5 > apart.measured.correlation
    widths = [f.measured.flops.target.half_width for f in (together, apart)]
    assert widths[0] < widths[1] / 2


def test_the_trend_takes_three_sizes() -> None:
    found = judge(ladder(sizes=2), question())
    assert str(found.verdict) == "cannot tell" and found.measured is None
    assert "2 of 2 sizes" in found.sentence() and "trend takes 3" in found.sentence()
    assert str(judge(ladder(sizes=3, fresh=range(2, 14)), question()).verdict) == "transfers"


def test_a_target_far_beyond_the_sizes_is_refused_unless_asked_for() -> None:
    runs = ladder(fresh=range(2, 14))
    with pytest.raises(UserError, match="far=true"):
        judge(runs, question(at=31e20))
    judge(runs, question(at=29e20))
    assert judge(runs, question(at=31e20), far=True).measured is not None


def test_runs_that_diverged_are_named() -> None:
    runs = ladder()
    lost = (runs["arm"] == "new") & (runs["seed"] == 3) & (runs["N"] == runs["N"].max())
    found = judge(runs.assign(status=np.where(lost, "diverged", "done")), question())
    assert str(found.verdict) == "cannot tell"
    assert "new diverged at N 913M (seed 3)" in found.sentence()


def test_runs_on_their_way_are_not_counted() -> None:
    runs = ladder()
    running = (runs["seed"] == 4) & (runs["arm"] == "new")
    found = judge(runs.assign(status=np.where(running, "running", "done")), question())
    assert found.measured is not None and (found.measured.sizes["pairs"] == 2).all()
    proposal = found.next_runs.iloc[0]  # the missing half of a pair is the cheapest
    assert proposal["seed"] == [4] and proposal["arms"] == ["new"]


def test_device_time_has_a_verdict_of_its_own() -> None:
    runs = ladder(fresh=range(2, 14))
    seconds = runs["N"] * runs["D"] / 1e12 * np.where(runs["arm"] == "new", 2.0, 1.0)
    rng = np.random.default_rng(0)
    found = judge(runs.assign(seconds=seconds * np.exp(rng.normal(0, 0.01, len(runs)))), question())
    assert found.measured is not None and found.measured.device is not None
    assert str(found.verdict) == "transfers"
    assert str(found.measured.device.verdict) == "reverses"
    assert found.measured.device.target.parts["timing"] > 0
    assert any("device time: reverses" in text for text in found.warnings)


def test_what_no_column_tells_apart_is_refused() -> None:
    runs = pd.concat([ladder().assign(schedule="wsd"), ladder().assign(schedule="constant")])
    with pytest.raises(UserError, match="several runs"):
        judge(runs, question())
    judge(runs, question(exclude=("schedule == 'constant'",)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.drop(columns="seed"), "no column 'seed'"),
        (lambda r: r.assign(arm="old"), "candidate = 'new' has no run; there are old"),
        (lambda r: r.assign(D=r["D"] / r["N"] ** 2), "no ladder"),
        (lambda r: r.assign(N=r["N"] * (1 + (r["arm"] == "new"))), "no size in common"),
    ],
)
def test_tables_that_cannot_be_judged_are_refused(change, message) -> None:
    with pytest.raises(UserError, match=message):
        judge(change(ladder()), question())


def test_next_runs_narrow_the_answer_as_they_say() -> None:
    runs = ladder(fresh=(2, 3, 4, 5), noise=1e-3)
    before = judge(runs, question())
    assert before.measured is not None
    now = before.measured.flops.target.half_width
    assert {True, False} == set(before.next_runs["new_size"])
    assert (before.next_runs["half_width"] < now).all()
    gain = (now - before.next_runs["half_width"]) / before.next_runs["cost"]
    assert list(gain) == sorted(gain, reverse=True)


def test_a_question_without_an_answer_is_refused() -> None:
    for wrong in (0.0, -1e21, np.inf, np.nan):
        with pytest.raises(UserError, match="at = "):
            question(at=wrong)
    with pytest.raises(UserError, match="both 'a'"):
        TransferQuestion(baseline="a", candidate="a", at=TARGET)
