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
        table(state=states, step=[0, 0, 100], predicted_seconds=[100.0, 10.0, None]),
    )
    assert found.seconds_left == 100.0


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
        ),
    )
    assert found.seconds_left == 60.0 and found.packs == 1


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
