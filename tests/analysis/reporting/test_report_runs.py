"""The table of the runs in a report: its order, and what it leaves to a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalinglab.analysis.reporting.report_runs import _thinned, runs_sections
from scalinglab.analysis.reporting.reported_runs import ReportedRuns, RunsWithoutLaw


def section(**columns: Any) -> Any:
    """The section on some runs; columns that are not given are empty."""
    every = (
        "run_id role status width depth N n_total D C lr schedule seed loss bpb seconds"
    ).split()
    runs = pd.DataFrame(columns)
    empty = {name: np.nan for name in every if name not in columns}
    runs = runs.assign(**empty, flops_convention="own")
    answer = RunsWithoutLaw(
        study="s",
        question="",
        outputs=Path(),
        runs=runs,
        unfinished={},
        machines=pd.DataFrame(),
        why="",
    )
    (told,) = runs_sections(answer)
    return told


def test_runs_are_sorted_by_the_compute_that_is_shown_then_size() -> None:
    N = np.array([1e6, 2e6, 3e6, 1e6, 5e5])
    C = np.array([1.02e18, 1e18, 1e17, 1.0001e17, np.nan])  # both of 10¹⁷ are shown as that
    told = section(run_id=list("abcde"), N=N, D=C / (6 * N), C=C, loss=np.arange(5.0), role="fit")
    assert "".join(told.tables[0]["run_id"]) == "dcbae"


def test_what_is_equal_in_all_runs_is_a_sentence_and_the_loss_stands_in_front() -> None:
    told = section(
        run_id=["a", "b"],
        role=["fit", "held_out"],
        status="done",
        N=[1e6, 2e6],
        D=1e8,
        C=[6e14, 1.2e15],
        loss=[3.0, 2.9],
        depth=2,
        seconds=[0.0, 3.0],
    )
    assert list(told.tables[0]) == ["run_id", "N", "D", "C", "loss", "role", "seconds"]
    assert told.text.startswith(
        "2 runs: 1 fitted, 1 held out. The same in all runs: status done, depth 2."
    )
    assert "with 0 it shares all its steps" in told.text


def test_every_run_is_counted_and_those_left_out_are_named_with_the_reason(monkeypatch) -> None:
    monkeypatch.setattr(ReportedRuns, "far_runs", lambda answer: answer.runs.index[:1])
    told = section(
        run_id=list("abcde"),
        role=["fit", "fit", "left_out", None, "curve"],
        status=["done", "diverged", "done", "done", "done"],
        N=[1e6] * 5,
        D=1e8,
        C=6e14,
        loss=[3.0, np.nan, 2.9, np.nan, 2.8],
    )
    assert told.text.startswith(
        "5 runs: 1 fitted, 1 for the curve law, 3 left out. Left out: b (diverged), c (exclude),"
        " d (no loss)."
    )
    roles = told.tables[0].set_index("run_id")["role"]
    assert roles["a"] == "fit, far from the law" and roles["e"] == "curve"


def test_curves_of_many_runs_are_thinned_rather_than_left_out() -> None:
    steps = np.arange(1, 101)

    def points(count: int) -> set[int]:
        runs = [
            pd.DataFrame({"run": f"r{k}", "step": steps, "loss": 3 / steps}) for k in range(count)
        ]
        thinned = _thinned(pd.concat(runs))
        assert len(thinned) == count
        assert all(x[0] == 1 and x[-1] == 100 for x, _ in thinned.values())
        return {len(x) for x, _ in thinned.values()}

    assert points(2) == {40} and points(400) == {20}
