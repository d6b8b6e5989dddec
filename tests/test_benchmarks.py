"""What the benchmarks compare is the same training, and their commands run, at toy size."""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from scalinglab.compose import compose
from scalinglab.scaling.run.step_options import StepOptions

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """A file of benchmarks/ as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


def run(name: str, *words: str, **environment: str) -> str:
    """What a benchmark prints."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *words]
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        cwd=BENCHMARKS.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_tests_are_run_on_other_kernels_and_what_fails_is_listed(tmp_path) -> None:
    """One test that passes only where numpy runs what was asked for, and one that never does."""
    tests = tmp_path / "test_kernels.py"
    tests.write_text(
        "import sys, sysconfig; sys.path.insert(0, 'benchmarks')\n"
        "from portability import kernels\n"
        "def test_asked(): assert 'numpy Nehalem' in kernels()\n"
        "def test_never(): assert sysconfig.get_path('stdlib') == '/nowhere'\n"
    )
    command = [
        sys.executable,
        str(BENCHMARKS / "portability.py"),
        "--only",
        "Nehalem",
        "stdlib",
        "--stdlib",
        "/nowhere",
        "--numprocesses",
        "0",
        "--",
        str(tests),
    ]
    done = subprocess.run(command, cwd=BENCHMARKS.parent, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    nehalem, stdlib = done.stdout.split("stdlib /nowhere")
    assert nehalem.startswith("OpenBLAS Nehalem (numpy Nehalem, scipy Nehalem, torch")
    assert "1 failed, 1 passed" in nehalem and "test_never" in nehalem
    assert "test_asked" in stdlib and "test_never" not in stdlib


@pytest.mark.filterwarnings("ignore")  # Lightning's advice
@pytest.mark.parametrize(("precision", "rtol"), [("fp32", 1e-5), ("bf16", 1e-3)])
def test_all_loops_are_one_training(script, precision, rtol) -> None:
    loops = script("loops")
    shape = loops.transformer(depth=2, width=16, head_dim=8, context=16, vocab=11)
    setting = loops.Setting(shape, batch=4, options=StepOptions(precision))
    tokens = setting.tokens(6, 2)
    (_, expected) = loops.LOOPS["bare"](setting, 1)(tokens[:, :1])
    assert expected.shape == (6, 1) and np.ptp(expected) > 0
    for name, members in [("lightning", 1), ("eager", 1), ("eager", 2), ("captured", 1)]:
        seconds, losses = loops.LOOPS[name](setting, members)(tokens[:, :members])
        assert seconds > 0
        np.testing.assert_allclose(losses[:, :1], expected, rtol=rtol, err_msg=name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["bare-compiled", "lightning-compiled", "compiled"])
def test_compiled_loops_are_that_training_too(script, name) -> None:
    loops = script("loops")
    shape = loops.transformer(depth=1, width=16, head_dim=8, context=16, vocab=11)
    setting = loops.Setting(shape, batch=4)
    _, expected = loops.LOOPS["bare"](setting, 1)(setting.tokens(6))
    _, losses = loops.LOOPS[name](setting, 1)(setting.tokens(6))
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_plain_loops_refuse_packs(script) -> None:
    loops = script("loops")
    setting = loops.Setting(loops.transformer(1, 8, 8, 8, 8), batch=1)
    for name in ("bare", "lightning"):
        with pytest.raises(ValueError, match="2 members: only the engine trains packs"):
            loops.LOOPS[name](setting, 2)


def test_entries_say_what_takes_part(script) -> None:
    Entry = script("teams").Entry
    text = "captured:4@2+mps+deterministic"
    assert Entry.parse(text) == Entry(text, "captured", 4, 2, True, True)
    assert Entry.parse("bare-compiled") == Entry("bare-compiled", "bare-compiled", 1, 1, 0, 0)
    for wrong in ("captive", "captured:x", "bare+mps@2"):
        with pytest.raises(argparse.ArgumentTypeError, match=re.escape(repr(wrong))):
            Entry.parse(wrong)


def test_the_batch_of_the_recipe_is_measured(script) -> None:
    recipe = compose([])
    assert (recipe["batch"], recipe["model"]["context"]) in script("engine").ON_A_GPU["batches"]


def test_the_multi_process_service_is_stopped_again(script, tmp_path, monkeypatch) -> None:
    control, told = tmp_path / "nvidia-cuda-mps-control", tmp_path / "told"
    control.write_text(
        f'#!/bin/sh\necho "$1 $CUDA_MPS_PIPE_DIRECTORY" >> {told}\n[ "$1" = -d ] || cat >> {told}\n'
    )
    control.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    teams = script("teams")
    with pytest.raises(KeyError), teams.multi_process_service(True) as environment:
        folder = environment["CUDA_MPS_PIPE_DIRECTORY"]
        assert told.read_text() == f"-d {folder}\n" and Path(folder).is_dir()
        raise KeyError
    assert told.read_text() == f"-d {folder}\n {folder}\nquit\n" and not Path(folder).exists()


def test_a_process_that_dies_or_hangs_says_so(script, monkeypatch) -> None:
    teams = script("teams")
    here, there = multiprocessing.Pipe()
    monkeypatch.setattr(teams, "PATIENCE", 0.01)
    with pytest.raises(teams.DidNotRun, match="no answer in 0 s"):
        teams.received(here)
    there.close()
    with pytest.raises(teams.DidNotRun, match="its process died"):
        teams.received(here)


@pytest.mark.long
def test_teams_are_measured_and_what_cannot_run_says_why() -> None:
    out = run(
        "engine",
        "--widths=16",
        "--depth=1",
        "--batches=2x16",
        "--rounds=1",
        "--seconds=.01",
        "--entries",
        "eager:2",
        "eager+mps",
        PATH="/nowhere",
    )
    assert re.search(r"eager:2 +[\d,]+ +1\.00 \(1\.00 to 1\.00\) +[\d,]+ \(\d\)", out)
    assert "did not run: there is no nvidia-cuda-mps-control" in out


@pytest.mark.filterwarnings("ignore")  # the profiler's
def test_a_large_model_is_measured(script, capsys) -> None:
    script("large").main(
        ["--steps=1", "--rounds=1", "--loss-chunk=100", "--micro-batch=1", "--context=64"]
    )
    out = capsys.readouterr().out
    assert "MFU               unknown" in out
    for line in ("tokens per second", "backward", "matrix products", "attention"):
        assert line in out


def test_the_mfu_of_a_known_device_is_shown_by_both_counts(script, capsys, monkeypatch) -> None:
    monkeypatch.setattr(
        "scalinglab.scaling.records.machine.device_name", lambda device: "NVIDIA H200"
    )
    loops = script("loops")
    setting = loops.Setting(loops.transformer(24, 1024, 128, 2048, 32_768), 16)
    script("large").print_rates([0.16], setting)
    # 204,800 tokens a second of 2.013 GFLOP in matrix products, and .604 or .302 in attention.
    assert "54.2% by PaLM's count, 47.9% with causal attention" in capsys.readouterr().out


SECTIONS = """
import json, sys, time
def say(what, **more): print(json.dumps({"what": what, "figure": "x | y", **more}), flush=True)
name, device, quick, seconds = sys.argv[1:]
if name == "capture":
    say("one", value=2.0, aim=1.0), say("two", value=.5, aim=1.0)
if name == "speed":
    say("before it hung")
    time.sleep(600)
if name == "large":
    print("no such thing"), sys.exit("a defect")
if name == "tests":
    say(f"{device} {quick} {float(seconds):.0f}")
"""


def test_a_section_that_hangs_or_fails_costs_the_others_nothing(
    script, tmp_path, monkeypatch, capsys
) -> None:
    device = script("device")
    (tmp_path / "device_sections.py").write_text(SECTIONS)
    monkeypatch.setattr(device, "HERE", tmp_path)
    monkeypatch.setattr(device, "AT_THE_END", 0.0)
    monkeypatch.setattr(device, "SECTIONS", {"capture": 1, "speed": 1, "large": 3, "tests": 3})
    words = [
        "--device=cpu",
        "--quick",
        "--minutes=.3",
        f"--to={tmp_path}",
        "--only",
        "capture",
        "speed",
        "large",
        "tests",
    ]
    start = time.monotonic()
    assert device.main(words) == 1 and time.monotonic() - start < 18
    found = json.loads((tmp_path / "device.json").read_text())["sections"]
    assert [found[n]["ended"].split(" ")[0] for n in found] == ["done", "stopped", "failed", "done"]
    lines = (tmp_path / "device.md").read_text().splitlines()
    assert lines[2:5] == [
        "| capture | one | x / y | 1 met |",
        "| capture | two | x / y | 1 missed |",
        "| speed | before it hung | x / y |  |",
    ]
    assert lines[6] == "| large | | failed with exit code 1: a defect | |"
    assert lines[7].startswith("| tests | cpu 1 ")
    assert capsys.readouterr().out.endswith("\n".join(lines) + "\n\n")


@pytest.mark.slow
def test_the_script_for_a_device_is_rehearsed_on_a_cpu(tmp_path) -> None:
    run("device", "--device=cpu", "--quick", "--minutes=9", f"--to={tmp_path}")
    found = json.loads((tmp_path / "device.json").read_text())["sections"]
    assert {section["ended"] for section in found.values()} == {"done"}
    assert all(section["rows"] for section in found.values())
    assert {"capture", "speed", "large", "parts", "tests", "launched"} <= set(found)
    experts = next(row for row in found["parts"]["rows"] if row["what"].startswith("experts"))
    assert "losses off eager's by" in experts["figure"]


@pytest.mark.slow
def test_the_other_commands_run() -> None:
    out = run("tables", "--rows=2000", "--columns=50")
    assert out.count("s of the processor") == 5
    out = run("compiled_parts", "--only", "default")
    assert "compiled: 1 graph(s), 0 break(s), 0 made again" in out or "eager (" in out
    out = run("saving", "--width=64", "--depth=1", "--steps=3", "--seconds=1e-6")
    assert "between chunks: " in out and "by a thread: " in out
    out = run(
        "engine",
        "--widths=16",
        "--depth=1",
        "--batches=2x16",
        "--rounds=1",
        "--seconds=.01",
        "--entries",
        "bare",
        "lightning",
        "bare@2",
        "eager+deterministic",
        "bare:2",
    )
    assert "bare:2                  did not run: ValueError: 2 members" in out
    assert out.count("did not run") == 1
    out = run("start", "--engines=eager", "--widths", "8", "16", "--depth=1")
    assert len(re.findall(r"^eager +(?:empty|filled) ", out, re.MULTILINE)) == 4
    assert "x\n" in run("packing", "--shapes=1", "--rounds=1")


def test_runs_of_two_folders_are_compared_bit_for_bit(finished, tmp_path, script, capsys) -> None:
    compare = script("same_runs").main
    other = tmp_path / "other"
    shutil.copytree(finished, other, ignore=shutil.ignore_patterns("checkpoints", "data"))
    assert compare([str(finished), str(other)]) == 0
    assert "0 equal" not in capsys.readouterr().out
    changed, donor = list(script("same_runs").finished(other).values())[:2]
    for pattern in ("record-*", "curve-*", "DONE"):
        for file in changed.path.glob(pattern):
            file.unlink()
        for file in donor.path.glob(pattern):
            shutil.copy(file, changed.path)
    assert compare([str(finished), str(other)]) == 1
    assert f"{changed.run_id}: another curve" in capsys.readouterr().out
    shutil.rmtree(changed.path)
    assert compare([str(finished), str(other)]) == 1
    assert f"{changed.run_id}: in {finished} alone" in capsys.readouterr().out


def test_the_house_is_drawn(script, monkeypatch, capsys) -> None:
    house = script("house")
    monkeypatch.setattr(house, "STARTS", 1)
    house.main()
    assert "circles of files: 0, of rooms: 0" in capsys.readouterr().out


def test_the_judge_is_scored_where_the_truth_is_known(script) -> None:
    judge = script("judge")
    scenario = judge.scenarios("development")[15]
    row = judge.score(judge.anytime, scenario, 2, None, (0, 15))
    assert row["constant"] == 1 and row["false"] == 0


def test_a_run_that_passes_a_budget_waits_for_the_next_one(script) -> None:
    """As ScaleBench spends: nothing at 1 %, then the run that waited, whatever it costs."""
    bench = script("scalebench")
    cost = np.array([3.0, 1.0, 1.0, 4.0, 91.0])
    assert list(bench._counts(cost)) == [0, 3, 4]
    measured = np.array([1.0, 2.0, 3.0])
    assert bench.r_squared(measured, measured) == 1
    assert bench.r_squared(measured, np.array([9.0, 9.0, 9.0])) == -1
    assert bench.r_squared(measured, np.array([1.0, np.nan, 3.0])) == -1


@pytest.mark.long
def test_experts_are_timed_by_both_products() -> None:
    printed = run("experts", "--experts", "4", "--tokens", "64", "--rounds", "2")
    assert re.search(r"4 experts of width \d+: .* a loop takes [\d.]+ times as long", printed)


@pytest.mark.slow
def test_a_version_calls_as_much_as_itself() -> None:
    printed = run("paired", str(BENCHMARKS.parent), "--calls", "--widths", "16")
    pairs = re.findall(r"a step: ([\d.]+) and ([\d.]+)", printed)
    assert len(pairs) == 3 and all(one == other and float(one) > 100 for one, other in pairs)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no Chromium on this machine")
def test_reports_of_many_runs_and_curves_are_light(tmp_path) -> None:
    """A tenth of the size that the README tells: more would hide a page that grows by the run."""
    text = run("large_reports", str(tmp_path), "--runs", "200", "--curves", "100")
    for study in ("many_runs", "many_curves"):
        assert re.search(rf"{study}: written in .* peak memory \d+ MiB", text)
        assert (tmp_path / f"{study}.html").stat().st_size < 1_500_000
