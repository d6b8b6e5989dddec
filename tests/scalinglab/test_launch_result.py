"""What ``scaling launch`` says at its end."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from scalinglab.launch_result import LaunchResult, end_of_launch
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.launch_record import new_launch, store_launch
from scalinglab.sweeps.store.select import select
from scalinglab.sweeps.store.stored_plan import read_plan
from scalinglab.terminal import Screen


def test_a_full_disk_is_named_where_no_worker_could_say_so(study, monkeypatch, capsys) -> None:
    plan = make_plan(study())
    save_plan(plan)
    told = []
    for free in (1e12, 0):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        ended = end_of_launch(plan.outputs, "tiny", LaunchConfig("inline"))
        ended.show(Screen())
        assert ended.code == 1
        told.append(capsys.readouterr().out.replace("\n", " "))
    assert "is full" not in told[0] and "is full: 0 MB are free" in told[1]
    assert ": scaling" not in told[0] and "planned:" not in told[0]  # no reason, no colon


@pytest.mark.parametrize("kind", ["record", "curve"])
def test_a_damaged_result_is_named_and_the_launch_fails(finished, tmp_path, kind) -> None:
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs)
    assert end_of_launch(outputs, "tiny", LaunchConfig("inline")).code == 0
    path = next(outputs.glob(f"runs/*/{kind}-0001.*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    ended = end_of_launch(outputs, "tiny", LaunchConfig("inline"))
    assert ended.code == 1 and list(ended.damaged) == [path.parent.name]
    assert f"{path} is damaged" in ended.damaged[path.parent.name]


def test_only_the_runs_that_were_asked_for_count(study, capsys, monkeypatch) -> None:
    seeds = list(range(15))
    plan = make_plan(
        study(
            "~study.blocks.curves",
            f"+study.blocks.ladder.grid.seed={seeds}",
            "study.blocks.ladder.grid.model.width=[8]",
            "study.blocks.ladder.grid.tokens=[2560]",
        )
    )
    save_plan(plan)
    runs = read_plan(plan.outputs, "tiny").runs
    done = {r.run_id for r in select(runs, "seed <= 2")}
    monkeypatch.setattr(
        "scalinglab.launch_result.status",
        lambda outputs, name: pd.DataFrame(
            [
                {"run_id": i, "state": "done" if i in done else "planned", "note": ""}
                for i in (r.run_id for r in runs)
            ]
        ),
    )
    for words, code in (("seed <= 2", 0), (None, 1)):
        config = LaunchConfig("inline", runs=words)
        chosen = select(runs, words) if words else runs
        store_launch(new_launch(plan.outputs, "tiny", config, chosen, plan.outputs))
        ended = end_of_launch(plan.outputs, "tiny", config)
        ended.show(Screen())
        assert ended.code == code
    said = capsys.readouterr().out
    left = [i for i in (r.run_id for r in runs) if i not in done]
    assert all(i in said for i in left[:10]) and not any(i in said for i in left[10:])
    assert " and 2 more planned\n" in said


def test_one_cause_is_told_once_for_all_of_its_runs(capsys) -> None:
    left = pd.DataFrame(
        {
            "run_id": ["a", "b", "c"],
            "state": "failed",
            "note": ["KeyError: wsd", "KeyError: wsd", "ValueError: x"],
        }
    )
    alike = "2 runs failed alike (a, b): KeyError: wsd"
    LaunchResult("s", Path("."), left, left, stopped=alike, given_up={"a": "w", "b": "w"}).show(
        Screen()
    )
    said = capsys.readouterr().out
    assert said.count("KeyError: wsd") == 1
    assert "  a, b failed: w\n" in said and "  c failed: ValueError: x\n" in said
