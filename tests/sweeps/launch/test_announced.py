"""A launch is seen from its first moment: a watch that began before the plan stays."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from types import SimpleNamespace

import pytest

from scalinglab import watch
from scalinglab.cli import main
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records import planning
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.processes import Process
from scalinglab.sweeps.launch.announced import announced, is_announced
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan


def test_a_launcher_is_there_until_it_is_through(study, tmp_path) -> None:
    composed, outputs = study(), tmp_path / "outputs"
    assert not is_announced(outputs, "tiny")
    with announced(composed):
        assert is_announced(outputs, "tiny") and not is_announced(outputs, "other")
        with announced(composed):  # a search goes on
            pass
        assert is_announced(outputs, "tiny")
    assert not is_announced(outputs, "tiny") and not outputs.exists()
    broken = announced(study(f"outputs='{tmp_path}:b'"))
    with pytest.raises(ConfigError, match="line break"), broken:
        pass


def test_what_was_there_stays(study, tmp_path) -> None:
    (tmp_path / "outputs").mkdir()
    with announced(study()):
        pass
    assert list((tmp_path / "outputs").iterdir()) == []
    with announced(composed := study()):
        save_plan(make_plan(composed))
    assert (tmp_path / "outputs" / "studies" / "tiny" / "plan.json").exists()


@pytest.mark.parametrize("name", [None, 3, "../up", "a/b"])
def test_what_names_no_study_is_the_plans_to_refuse(study, tmp_path, name) -> None:
    composed = study()
    composed["study"]["name"] = name
    for given in (composed, {"outputs": composed["outputs"]}):
        with announced(given):
            assert not (tmp_path / "outputs").exists()


def test_a_launcher_that_was_killed_is_not_waited_for(study, tmp_path, monkeypatch) -> None:
    outputs = tmp_path / "outputs"
    with announced(study()):
        (file,) = outputs.glob("studies/tiny/planning-*")
        process = read_json(file)
        write_json(file, process | {"host": "another"})
        assert is_announced(outputs, "tiny")  # nobody here can tell
        monkeypatch.setattr(planning, "ELSEWHERE_SECONDS", -1.0)
        assert not is_announced(outputs, "tiny")
        write_json(file, process | {"process_start": "long ago"})
        assert Process.from_dict(read_json(file)).has_ended and not is_announced(outputs, "tiny")
        assert not file.exists()


def test_what_is_true_is_said_before_there_is_a_plan(study, tmp_path, capsys) -> None:
    def answer(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, f"outputs={tmp_path / 'outputs'}"])
        told = capsys.readouterr()
        return f"{ended.value.code} {told.out}{told.err}"

    composed = study()
    by = rf"since \d\d:\d\d:\d\d UTC by process {os.getpid()}"
    with announced(composed):
        for arguments in (["status"], ["status", "study=tiny"]):
            assert re.match(rf"0 tiny: being planned {by};", answer(*arguments))
        json_answer = json.loads(answer("status", "study=tiny", "json=true").partition(" ")[2])
        assert json_answer["planning"][0]["pid"] == os.getpid()
        assert answer("status", "study=tyni").startswith("2 error: there is no study 'tyni'")
        for verb in ("logs", "fit"):
            told = " ".join(answer(verb, "study=tiny").split())
            assert re.match(
                rf"2 error: study 'tiny' is being planned {by}: .* watch=true waits", told
            )
        save_plan(make_plan(composed))
        assert "2 planned" in answer("status", "study=tiny")


def test_a_watch_stays_while_a_launch_plans(study, tmp_path, capsys, monkeypatch) -> None:
    composed, looked, go = study(), threading.Event(), threading.Event()

    def launch() -> None:
        with announced(composed):
            looked.set()
            assert go.wait(60)
            save_plan(make_plan(composed))

    def sleep(seconds: float) -> None:
        go.set()  # the watch is there, and has nothing to show yet
        launcher.join(0.01)

    launcher = threading.Thread(target=launch)
    launcher.start()
    assert looked.wait(60)
    monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    with pytest.raises(SystemExit) as ended:
        main(["status", "study=tiny", "watch=true"])
    assert ended.value.code == 0
    launcher.join()
    said = capsys.readouterr().out
    assert "tiny: a launch is planning it" in said and "2 planned" in said
