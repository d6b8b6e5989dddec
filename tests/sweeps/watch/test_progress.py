"""How long a study still takes, from what was predicted and what was measured."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest

from scalinglab.sweeps.watch.progress import progress


def table(**columns) -> pd.DataFrame:
    """Three runs of 100 steps: one finished, one half trained, one not begun."""
    return pd.DataFrame(
        {
            "state": ["done", "running", "planned"],
            "step": [100, 50, 0],
            "steps": [100] * 3,
            "seconds": [20.0, None, None],
            "predicted_seconds": [10.0, 10.0, 30.0],
            "run_id": ["a", "b", "c"],
            "D": [1000] * 3,
            "tokens_per_second": [50.0, None, None],
            "pack": [""] * 3,
            **columns,
        }
    )


def test_the_rest_is_shared_among_what_runs_at_the_measured_pace(tmp_path: Path) -> None:
    found = progress(tmp_path, "tiny", table())
    assert found.share == pytest.approx(15 / 50)
    assert found.against_plan == 2.0
    assert found.seconds_left == 2.0 * (5 + 30)


def test_the_longest_run_bounds_the_end(tmp_path: Path) -> None:
    states = ["running", "running", "done"]
    found = progress(
        tmp_path,
        "tiny",
        table(
            state=states,
            step=[0, 0, 100],
            predicted_seconds=[100.0, 10.0, None],
            tokens_per_second=[None] * 3,
        ),
    )
    assert found.seconds_left == 100.0


def test_the_total_learns_the_speed_of_the_runs_that_train(tmp_path: Path) -> None:
    """Nothing has finished: what a run measures goes for all that is still to begin."""
    seen = progress(
        tmp_path,
        "tiny",
        table(
            state=["running", "running", "planned"],
            step=[50, 50, 0],
            seconds=[None] * 3,
            tokens_per_second=[25.0, 50.0, None],  # 40 and 20 seconds a run, for 10 predicted
        ),
    )
    assert seen.seconds_left == pytest.approx((20 + 10 + 3 * 30) / 2)
    assert math.isnan(seen.against_plan)  # which is of finished runs


def test_no_run_takes_longer_than_the_total(tmp_path: Path) -> None:
    """The speed of finished runs does not hide that one of those that train is slower."""
    rates = [100.0, 1.0, None]
    seen = progress(
        tmp_path,
        "tiny",
        table(state=["done", "running", "done"], seconds=[9, None, 9], tokens_per_second=rates),
    )
    assert seen.seconds_left == 500.0


def test_a_speed_without_a_prediction_tells_the_end_of_what_trains(tmp_path: Path) -> None:
    seen = progress(
        tmp_path,
        "tiny",
        table(
            state=["done", "running", "done"],
            predicted_seconds=[None] * 3,
            tokens_per_second=[None, 50.0, None],
        ),
    )
    assert seen.seconds_left == 10.0 and math.isnan(seen.share)


def test_without_a_prediction_no_end_is_told(tmp_path: Path) -> None:
    found = progress(tmp_path, "tiny", table(predicted_seconds=[None, None, None]))
    assert math.isnan(found.share) and math.isnan(found.seconds_left)
    assert math.isnan(found.against_plan)


def test_members_of_a_pack_end_together(tmp_path: Path) -> None:
    """Their shares of the pack's time add up: two in one pack, beside one that is alone."""
    found = progress(
        tmp_path,
        "tiny",
        table(
            state=["running"] * 3,
            step=[0] * 3,
            pack=["p", "p", ""],
            predicted_seconds=[30.0, 30.0, 10.0],
            tokens_per_second=[None] * 3,
        ),
    )
    assert found.seconds_left == 60.0 and found.packs == 1


def test_the_speed_of_a_member_is_its_share_of_the_packs(tmp_path: Path) -> None:
    """Two members with 50 tokens a second each: the pack needs 20 seconds for their 1,000."""
    seen = progress(
        tmp_path,
        "tiny",
        table(
            state=["running", "running", "planned"],
            step=[0, 0, 0],
            pack=["p", "p", ""],
            tokens_per_second=[50.0, 50.0, None],
        ),
    )
    assert seen.seconds_left == 20.0 + 30.0


def test_a_run_that_was_resumed_is_measured_against_the_whole_of_what_was_predicted(
    study, monkeypatch
) -> None:
    """The second plan predicts what is left; the record has the time of all attempts."""
    from dataclasses import replace

    from scalinglab.scaling.records.claim import Claim
    from scalinglab.sweeps.plan.make import make_plan
    from scalinglab.sweeps.plan.save import save_plan
    from scalinglab.sweeps.store.status import status
    from scalinglab.sweeps.store.stored_plan import read_plan

    def plan(seconds: float):
        made = make_plan(study())
        return replace(made, runs=[replace(p, seconds=seconds) for p in made.runs])

    first = plan(100.0)
    save_plan(first)
    begun = first.run_folder(first.runs[0])
    Claim.acquire(begun, 60.0).release("interrupted", None)
    save_plan(plan(40.0))
    stored = {r.run_id: r for r in read_plan(first.outputs, "tiny").runs}
    assert (stored[begun.run_id].seconds, stored[begun.run_id].seconds_whole) == (40.0, 100.0)
    assert {r.seconds_whole for i, r in stored.items() if i != begun.run_id} == {40.0}
    table = status(first.outputs, "tiny").set_index("run_id")
    assert table.loc[begun.run_id, "predicted_seconds"] == 100.0
