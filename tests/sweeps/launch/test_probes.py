"""Probes of a study: found once, whoever is killed and however many ask."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalinglab import Study
from scalinglab.analysis.forecasts.track import factor_of_record, track_record
from scalinglab.analysis.tables.curves import load_curves
from scalinglab.analysis.tables.runs import load
from scalinglab.cli import main
from scalinglab.compose import compose
from scalinglab.scaling.engine.probes.reading import PROBED_BY
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extensions import loading
from scalinglab.scaling.probes.probe import PROBES
from scalinglab.scaling.records.identity import digest
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch.ask_probe import ask_probe
from scalinglab.sweeps.launch.launch import launch
from scalinglab.sweeps.launch.submissions import read_submissions
from scalinglab.sweeps.launch.worker import Worker
from scalinglab.sweeps.plan.make import make_plan
from scalinglab.sweeps.plan.save import save_plan
from scalinglab.sweeps.store.launch_record import read_launch, read_probe_launches
from scalinglab.sweeps.store.probe_questions import store_question
from scalinglab.sweeps.store.probe_status import probe_status
from scalinglab.sweeps.watch.gc import remove, survey

STUDY = """
# @package _global_
defaults:
  - override /data: markov
study:
  name: probed
  question: What do its checkpoints say?
  checkpoints: {log: 3}
  blocks:
    ladder: {role: fit, grid: {model: {width: [8, 16]}, tokens: [2560], seed: [0, 1]}}
model: {depth: 2, head_dim: 8, context: 16}
data:
  options: {vocab: 8, successors: 4, tokens: 20001, validation_tokens: 1025}
  validation_tokens: 512
schedule: {warmup_tokens: 256}
batch: 4
"""
SLOW = """
import time
from dataclasses import dataclass
from scalinglab import register
from scalinglab.scaling.probes.probe import Probe

@register.probe("slow")
@dataclass(frozen=True, kw_only=True)
class Slow(Probe):
    seconds: float = 0.3

@register.probed_by("slow")
def slow(probe, reading):
    end = time.monotonic() + probe.seconds
    while time.monotonic() < end:
        reading.go_on()
        time.sleep(0.02)
    return {"step": reading.step}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a person with the finished study."""
    folder = tmp_path_factory.mktemp("probed")
    (folder / "conf" / "study").mkdir(parents=True)
    (folder / "conf" / "study" / "probed.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        plan = make_plan(compose(["study=probed"]))
        save_plan(plan)
        assert launch(plan.outputs, "probed", LaunchConfig("inline"))
    return folder


@pytest.fixture
def person(trained, tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of it, as the current folder."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loading, "_loaded", {})
    yield tmp_path
    for registry in (PROBES, PROBED_BY):
        for name in [n for n in registry if not registry.is_shipped(n)]:
            del registry[name]


def opened(*overrides: str) -> Study:
    return Study.open("probed", "launch=inline", *overrides)


@pytest.mark.long
def test_numbers_are_columns_of_runs_and_curves_and_are_found_once(person) -> None:
    found = opened().probe(probe="validation", steps="all")
    assert found.code == 0 and len(found.frame) == 4 * 4  # steps 1, 6, 32 (the cooldown) and 40
    runs = load("outputs", study="probed")
    assert (runs["probe.validation.loss"] == runs["loss"]).all()
    curves = load_curves("outputs", study="probed")
    both = curves.dropna(subset=["probe.validation.loss", "loss"])
    assert len(both) >= 8 and (both["probe.validation.loss"] == both["loss"]).all()
    times = {f: f.stat().st_mtime_ns for f in person.glob("outputs/runs/*/probes/*/*.json")}
    again = opened().probe(probe="validation", steps="all")
    assert again.frame.equals(found.frame)
    assert times == {f: f.stat().st_mtime_ns for f in times}
    assert len([*person.glob("outputs/runs/*/probes/*/attempts/*.json")]) == 4
    assert "probe.validation.loss" in opened().results()


def test_of_all_steps_those_are_averaged_that_have_checkpoints_enough_before_them(person) -> None:
    found = opened().probe(probe="average", steps="all", options={"count": 3})
    assert found.code == 0 and sorted(set(found.frame["step"])) == [32, 40]


def test_a_probe_is_the_target_of_laws_and_comparisons(person, capsys) -> None:
    opened().probe(probe="quantized")
    target = "columns.loss=probe.quantized.loss"
    main_ok("fit", "study=probed", "law=power", "x=N", "resamples=0", target)
    main_ok("compare", "study=probed", "arm=seed", "resamples=0", target)
    assert load("outputs", study="probed", loss="probe.quantized.loss")["loss"].notna().all()


def main_ok(*arguments: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert ended.value.code == 0


def test_what_was_predicted_of_a_column_is_judged_once_its_probe_was_asked(person) -> None:
    """Kept by hand, as of the time before its run was trained."""
    outputs = person / "outputs"
    run = load(outputs, study="probed").iloc[0]
    said = {"run_id": run["run_id"], "study": "probed", "step": 0, "steps": 40, "loss": 2.0}
    said |= {"lower": 0.1, "upper": 9.0, "level": 0.95, "inflation": 1.0, "law": "power"}
    said |= {"column": "probe.rank.stable", "made": "2026-01-01T00:00:00+00:00"}
    said["hash"] = digest(said, 20)
    (outputs / "track" / run["run_id"]).mkdir(parents=True)
    (outputs / "track" / run["run_id"] / "kept.json").write_text(json.dumps(said))
    assert track_record(outputs)["outcome"].tolist() == ["ended, and not measured by its probe yet"]
    told = {"logit_max": "its training did not measure it", "loss.x": "not validated on this set"}
    for column, reason in told.items():
        other = {k: v for k, v in said.items() if k != "hash"} | {"column": column}
        kept = json.dumps(other | {"hash": digest(other, 20)})
        (outputs / "track" / run["run_id"] / "kept.json").write_text(kept)
        assert reason in track_record(outputs)["outcome"].iloc[0]
    (outputs / "track" / run["run_id"] / "kept.json").write_text(json.dumps(said))
    assert opened().probe(probe="rank").code == 0
    record = track_record(outputs)
    assert record["measured"].tolist() == [
        load(outputs, study="probed").iloc[0]["probe.rank.stable"]
    ]
    assert record["counts"].all() and factor_of_record(record, 0.95) is None


def test_an_ensemble_is_read_beside_the_run_of_the_lowest_seed(person) -> None:
    frame = opened().probe(probe="ensemble").frame
    assert len(frame) == 2 and (frame["probe.ensemble.members"] == 2).all()
    seeds = load("outputs", study="probed").set_index("run_id")["seed"]
    assert (seeds[frame["run_id"]] == 0).all()
    with pytest.raises(ConfigError, match="differ in their seeds alone, and none"):
        opened().probe(probe="ensemble", runs="seed == 0")


def test_maps_to_another_run_read_its_last_checkpoint_which_gc_keeps(person) -> None:
    runs = load("outputs", study="probed")
    target = runs.loc[runs["width"] == 16, "run_id"].iloc[0]
    options = {"to": target[:6], "windows": 8}
    checked = ask_probe(Path("outputs"), "probed", "maps", options, "all", "model.width == 8")
    question = checked.question
    reads = {one.reads[-1] for results in question.runs.values() for one in results}
    assert reads == {(target, 40)} and question.options["to"] == target
    store_question(Path("outputs"), "probed", question)
    checkpoints = survey(Path("outputs"), keep="needed")
    kept = checkpoints[checkpoints["kind"] == "to be probed"]["path"].astype(str)
    family = RunFolder(Path("outputs") / "runs" / target).spec().family_id
    assert kept.str.contains(f"{family}/00000040-").sum() == 1
    found = opened().probe(probe="maps", options=options, runs="model.width == 8", steps="all")
    assert found.code == 0 and len(found.frame) == 2 * 4
    column = f"probe.maps.to_{target}.windows_8"
    assert (found.frame[f"{column}.error.0.1"] > 0).all() and f"{column}.apart" in found.frame


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"probe": "maps", "options": {"to": "nope"}}, "options.to = 'nope' is no run's id"),
        ({"probe": "validaton"}, "did you mean 'validation'"),
        (
            {"probe": "validation", "steps": 7},
            "has no checkpoint of step 7, only of 0, 1, 6, 32, 40",
        ),
        ({"probe": "validation", "steps": 99}, "it ended after 40"),
        ({"probe": "validation", "steps": "later"}, "steps = later: allowed are end, all"),
        (
            {"probe": "validation", "options": {"store": "x"}},
            "options.store = 'x': there is no such",
        ),
        ({"probe": "proxies", "steps": 6}, "reads initial weights alone"),
        (
            {"probe": "average", "options": {"count": 9}},
            "only 4 checkpoints are kept up to step 40",
        ),
        ({"steps": "all"}, "probe is not set"),
        ({"withdraw": True, "steps": "all"}, "a question goes as a whole"),
        ({"withdraw": True, "probe": "validaton"}, "did you mean 'validation'"),
        ({}, "nothing was asked of the checkpoints"),
    ],
)
def test_a_mistake_is_told_before_anything_is_stored(person, asked, said) -> None:
    with pytest.raises(ConfigError, match=said):
        opened().probe(**asked)
    assert not [*person.glob("outputs/studies/probed/probes/*")]
    assert not [*person.glob("outputs/runs/*/probes")]


def test_gc_keeps_what_a_question_has_yet_to_read(person) -> None:
    outputs = person / "outputs"
    assert survey(outputs, "needed")["goes"].all()
    asked = ask_probe(outputs, "probed", "validation", {}, [6]).question
    store_question(outputs, "probed", asked)
    found = survey(outputs, "needed")
    assert sorted(found.loc[~found["goes"], "kind"]) == ["to be probed"] * 4
    remove(found)
    assert opened().probe().code == 0
    assert survey(outputs, "needed")["goes"].all()
    with pytest.raises(ConfigError, match="gc has removed it"):
        opened().probe(probe="rank")


def test_kept_steps_stay_unless_only_what_is_needed_does(person) -> None:
    kinds = dict(survey(person / "outputs", "branch")[["kind", "goes"]].itertuples(index=False))
    assert kinds["kept"] is False
    assert "final weights" not in kinds, "the last step ends the series that is kept"


@pytest.mark.long
def test_an_error_of_ones_own_probe_is_told_and_tried_again(person) -> None:
    text = SLOW.replace("    return", "    raise ValueError('no')\n    return").replace(
        "0.3", "0.0"
    )
    (person / "mine.py").write_text(text)
    found = opened("extend=[mine.py]").probe(probe="slow")
    why = next(filter(None, found.left.values()))
    assert found.code == 1 and why.startswith("ValueError: no; File") and "mine.py" in why
    (row,) = probe_status(person / "outputs", "probed").to_dict("records")
    assert (row["asked"], row["found"]) == (4, 0) and row["failed"] and "no" in row["error"]
    (person / "mine.py").write_text(SLOW.replace("0.3", "0.0"))
    study = opened("extend=[mine.py]")
    assert study.probe(probe="slow", options={"seconds": 1.5}, withdraw=True).questions == []
    assert study.probe(probe="validation").code == 0
    (gone,) = study.probe(withdraw=True).questions
    assert gone.startswith("slow-") and gone.endswith("of 4 runs that lacked numbers")
    assert study.probe().code == 0, "what was answered is still asked, what failed is not"
    fixed = study.probe(probe="slow")
    assert fixed.code == 0 and (fixed.frame["probe.slow.step"] == 40).all()


@pytest.mark.long
def test_killed_workers_and_two_launchers_find_every_number_once(person) -> None:
    """One launcher has a worker, which is killed; the other, in this process, reads itself."""
    (person / "slow.py").write_text(SLOW)
    command = [sys.executable, "-m", "scalinglab", "probe", "study=probed", "extend=[slow.py]"]
    command += ["probe=slow", "steps=all", "launch.workers=1"]
    launcher = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 900  # a busy machine takes minutes to start them
    try:
        while not (held := _holders(person)) and time.monotonic() < deadline:
            time.sleep(0.1)
        killer = threading.Timer(0.5, os.kill, (held[0], signal.SIGKILL))
        killer.start()
        assert opened("extend=[slow.py]").probe(probe="slow", steps="all").code == 0
        assert launcher.wait(timeout=900) == 0
        killer.join()
    finally:
        launcher.kill()
        launcher.wait()
    files = [*person.glob("outputs/runs/*/probes/slow-*/*.json")]
    assert len(files) == 16
    runs = load("outputs", study="probed")
    assert (runs["probe.slow.step"] == 40).all()


def _holders(folder: Path) -> list[int]:
    """Processes that read something now."""
    found = []
    for path in folder.glob("outputs/runs/*/probes/slow-*"):
        attempts = RunFolder(path)
        for number in attempts.attempt_numbers():
            attempt = attempts.attempt(number)
            if attempt.end is None:
                found.append(attempt.owner.pid)
    return found


def test_a_cluster_is_asked_for_few_workers_that_find_the_numbers(person, fake) -> None:
    study = Study.open("probed", "launch=slurm", "launch.watch=false", "launch.canary=0")
    asked = study.probe(probe="validation")
    assert asked.submitted and asked.code == 0 and len(asked.left) == 4
    (begun,) = read_probe_launches(person / "outputs", "probed")
    (submission,) = read_submissions(begun)
    assert submission.tasks == 1  # of 20 minutes, for some numbers
    assert study.probe(probe="validation").submitted
    assert len(read_probe_launches(person / "outputs", "probed")) == 1  # those jobs are watched
    assert Worker(read_launch(begun.folder), "default", lambda: False).work() == "finished"
    assert len(opened().probe().frame) == 4
    main_ok("cancel", "study=probed")


def test_an_interrupt_keeps_what_was_found(person) -> None:
    """Ctrl-C comes while the first number is being found."""
    text = SLOW.replace("0.3", "0.0").replace(
        "    return", "    interrupt_once(reading)\n    return"
    )
    once = """
def interrupt_once(reading):
    import os, pathlib, signal
    if not pathlib.Path("once").exists():
        pathlib.Path("once").touch()
        os.kill(os.getpid(), signal.SIGINT)
        while True:  # another thread may be given the signal, and take its time
            reading.go_on()
            time.sleep(0.01)
"""
    (person / "slow.py").write_text(text + once)
    study = opened("extend=[slow.py]")
    found = study.probe(probe="slow", steps="all")
    assert found.interrupted and len(found.left) == 4
    rest = study.probe()
    assert rest.code == 0 and len(rest.frame) == 16
