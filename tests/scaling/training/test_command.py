"""Any program may train a run: what it is told, what it leaves, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.model.flops import flops_per_token
from scalinglab.scaling.model.stated import size_of, stated_convention
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.schedule.pieces import lr_array
from scalinglab.scaling.training import child, command
from scalinglab.scaling.training.events import validation_steps

PROGRAM = {"trainer.kind": "command", "trainer.program": "test", "execution.command": ["-"]}
# What each test's program begins with.
BEGIN = """
import json, os, signal, sys, time
from pathlib import Path
config = json.loads(Path(sys.argv[1]).read_text())
folder, checkpoints, steps = Path(config["folder"]), Path(config["checkpoints"]), config["steps"]
def leave(curve, /, **final):
    rows = [f"{i},{loss}" for i, loss in enumerate(curve, 1)]
    (folder / "curve.csv").write_text("\\n".join(["step,loss", *rows]) + "\\n")
    (folder / "final.json").write_text(json.dumps(final))
whole = [2.0 - 0.01 * i for i in range(steps)]
"""


@pytest.fixture
def run_program(tmp_path: Path) -> Callable[..., str]:
    """Claim a run and let a program of these lines train it, as a worker does."""

    def run(folder: RunFolder, lines: str, should_stop=lambda: False, **execution) -> str:
        (tmp_path / "program.py").write_text(BEGIN + lines)
        words = [sys.executable, str(tmp_path / "program.py"), "{config}"]
        claim = Claim.acquire(folder, 60.0)
        assert claim is not None
        return command.train([claim], {}, ExecutionConfig(command=words, **execution), should_stop)

    return run


def error_of(folder: RunFolder) -> str:
    return folder.latest_attempt().end.error


# ---------------------------------------------------------------------- what it is told


def test_a_program_finds_the_modules_of_its_own_python(
    make_run, run_program, tmp_path, monkeypatch
):
    """None of ours: its environment is the user's, also below a worker that has a path to us."""
    for given in (None, "/of/the/user"):
        for name, value in (("PYTHONPATH", given), (child.GIVEN, None)):
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, value)
        for name, value in child.child_environment(Path("/frozen")).items():
            monkeypatch.setenv(name, value)
        folder = make_run(PROGRAM | {"seed": len(given or "")})
        program = (
            'leave(whole, validation_loss=1.0, path=os.environ.get("PYTHONPATH"),\n'
            "      safe=sys.flags.safe_path, names=sorted(os.environ))"
        )
        assert run_program(folder, program) == "done"
        final = folder.record().plain["program"]["final"]
        assert final["path"] == given and not final["safe"] and child.GIVEN not in final["names"]


def test_a_program_is_told_every_value_of_the_run(make_run, tiny_run, tiny_store, run_program):
    changes = PROGRAM | {"trainer.options": {"pipeline": 2}, "execution.processes": 3}
    folder, run = make_run(changes), tiny_run(changes)
    assert run_program(folder, "leave(whole, validation_loss=1.5)", processes=3) == "done"
    own = folder.path / "program" / "0001"
    told = json.loads((own / "config.json").read_text())
    assert told["folder"] == str(own) and told["checkpoints"] == str(own.parent / "checkpoints")
    assert told["options"] == {"pipeline": 2} and told["program"] == "test"
    assert told["model"] == run.science["model"] and told["counts"] == run.counts
    assert (told["steps"], told["batch"], told["tokens"]) == (run.steps, 4, run.tokens)
    np.testing.assert_array_equal(np.load(told["lr_file"]), lr_array(run.pieces))
    assert told["validation_steps"] == validation_steps(run.pieces)
    assert told["processes"] == 3 and told["micro_batch"] == 2
    held_out = np.fromfile(told["data"]["validation"], told["data"]["dtype"])
    windows, context = np.load(told["data"]["validation_windows"]), told["model"]["context"]
    np.testing.assert_array_equal(
        held_out[windows[:, None] * context + np.arange(context + 1)],
        tiny_store.validation_batch(told["data"]["validation_tokens"], context),
    )


def test_its_curve_becomes_the_record(make_run, run_program):
    """Counts and FLOPs are those of the model, the speed is the program's to say."""
    folder, own = make_run(PROGRAM), make_run()
    assert folder.run_id != own.run_id
    lines = """
rows = [f"{i},{loss},{i / 2},{'' if i % 10 else loss}" for i, loss in enumerate(whole, 1)]
(folder / "curve.csv").write_text("\\n".join(["step, loss, grad_norm, validation_loss", *rows]))
(folder / "final.json").write_text(json.dumps({
    "tokens_per_second": 1e6, "fingerprint": "abc", "versions": {"megatron": "1"},
    "note": "hello", "metrics": {"hellaswag": 0.3}}))
"""
    assert run_program(folder, lines) == "done"
    record, curve = folder.record(), pd.read_csv(folder.curve_file())
    assert record.spec.counts == own.spec().counts and record.status == "done"
    assert record.final.validation_loss == pytest.approx(2.0 - 0.39)
    assert record.code.fingerprint == "abc" and record.versions == {"megatron": "1"}
    assert record.throughput.tokens_per_second == 1e6
    assert record.machine.engine == "command"
    assert record.plain["program"]["final"]["note"] == "hello"
    assert record.columns == {"hellaswag": 0.3}
    assert curve["loss"].tolist() == pytest.approx([2.0 - 0.01 * i for i in range(40)])
    assert curve["grad_norm"].iloc[9] == 5.0
    assert curve["step"][curve["validation_loss"].notna()].tolist() == [10, 20, 30, 40]
    assert (curve["lr"] > 0).any() and curve["tokens"].iloc[-1] == 64 * 40


def test_a_program_says_which_network_it_trained(make_run, run_program):
    """Its counts and FLOPs stand in the record for those of the configuration; the id stays."""
    counts = {"n_matmul": 800, "n_total": 1000, "n_active": 300, "embedding": 100}
    folder = make_run(PROGRAM)
    lines = f"""
rows = [f"{{i}},{{loss}},{{'' if i % 20 else loss + 1}},{{i / 2}}" for i, loss in enumerate(whole, 1)]
(folder / "curve.csv").write_text("\\n".join(["step,loss,loss.wiki,metrics.router", *rows]))
(folder / "final.json").write_text(json.dumps({{
    "validation_loss": 1.5, "losses": {{"c4/en": 2.5}}, "counts": {counts},
    "flops_per_token": 2400, "active": 300}}))
"""
    assert run_program(folder, lines) == "done"
    record, configured = folder.record(), folder.spec()
    assert record.run_id == configured.run_id and record.counts_from == "test"
    assert record.spec.counts == counts != configured.counts
    assert flops_per_token(record.spec.flops, "palm") == 2400
    assert stated_convention(record.spec.flops, "palm") == "program"
    assert record.columns == {
        "loss.wiki": pytest.approx(2.61),
        "router": 20.0,
        "loss.c4/en": 2.5,
    }
    assert record.measured["loss.wiki"][19] == pytest.approx(2.81)
    assert record.measured["loss.wiki"][18] is None


@pytest.mark.parametrize(
    ("final", "size", "per_token"),
    [
        ({"counts": {"n_total": 500}}, ("n_total", 500), 3000),
        ({"counts": {"n_matmul": 500, "n_active": 100}}, ("n_matmul", 500), 600),
        ({"counts": {"n_block": 500}, "active": 100}, ("n_active", 100), 600),
    ],
)
def test_counts_alone_give_compute_of_what_a_token_passes_through(
    make_run, run_program, final, size, per_token
):
    folder = make_run(PROGRAM)
    assert run_program(folder, f"leave(whole, validation_loss=1.0, **{final})") == "done"
    spec = folder.record().spec
    assert size_of(spec.counts) == size
    assert flops_per_token(spec.flops) == per_token
    how = "6 N D" if size[0] == "n_total" else "6 n_active D"
    assert stated_convention(spec.flops, "causal") == how


def test_divergence_is_a_result(make_run, run_program):
    folder = make_run(PROGRAM)
    assert run_program(folder, 'leave(whole[:7] + [float("nan")])') == "done"
    assert folder.state() == "diverged" and folder.record().steps == 7


def test_slurm_variables_are_hidden_unless_asked_for(make_run, run_program, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "3")
    shown = 'leave(whole, validation_loss=1.0, slurm=os.environ.get("SLURM_PROCID"))'
    for keep, seed in ((False, 0), (True, 1)):
        folder = make_run(PROGRAM | {"seed": seed})
        assert run_program(folder, shown, keep_slurm=keep) == "done"
        assert folder.record().plain["program"]["final"]["slurm"] == ("3" if keep else None)


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("pass", "the program ended well but left no curve.csv in"),
        ("leave(whole[:-1])", "curve.csv has 39 steps; the run has 40"),
        ("leave(whole + [1.0])", "curve.csv has 41 steps; the run has 40"),
        ("leave(whole)", "the validation loss after the last step, 40, is missing"),
        ("leave(['high'])", "curve.csv: row 1 has loss = 'high'; expected is a number"),
        ("leave(whole, validation_loss='low')", "final.json: validation_loss = 'low'; expected"),
        ("leave(whole, metrics={'acc': 'high'})", "metrics.acc = 'high'; expected is a finite"),
        ("leave(whole, losses={'c4': None})", "final.json: losses.c4 = None; expected is a finite"),
        ("leave(whole, losses=[1.0])", "final.json: losses = [1.0]; expected is an object"),
        ("leave(whole, metrics={' ': 1})", "final.json: a number of metrics has no name"),
        (
            "leave(whole, counts={'n_totl': 5})",
            "counts.n_totl is no count; known are n_matmul, n_a",
        ),
        ("leave(whole, counts={'n_total': 5e3})", "counts.n_total = 5000.0; expected is a whole"),
        ("leave(whole, counts={'n_total': 0})", "counts.n_total = 0; expected is a whole number"),
        ("leave(whole, counts={'embedding': 5})", "has no N; give at least one of n_matmul, n_act"),
        (
            "leave(whole, counts={'n_block': 5, 'n_matmul': 4})",
            "n_block = 5 is larger than counts.n",
        ),
        ("leave(whole, flops_per_token=0)", "flops_per_token = 0; expected is a finite number abo"),
        ("leave(whole, active=7.5)", "final.json: active = 7.5; expected is a whole number"),
        (
            "leave(whole, counts={'n_active': 5}, active=4)",
            "active = 4; expected is the count of p",
        ),
        (
            "(folder / 'curve.csv').write_text('step,loss,loss.\\n1,2,3\\n')",
            "curve.csv: column 'loss.' has no name",
        ),
        (
            "(folder / 'curve.csv').write_text('step,loss,loss.a,loss.a\\n1,2,3,4\\n')",
            "curve.csv has two columns called 'loss.a'",
        ),
        (
            "(folder / 'curve.csv').write_text('step,loss,metrics.a\\n1,2,high\\n')",
            "row 1 has metrics.a = 'high'; expected is a number",
        ),
        ("(folder / 'curve.csv').write_text('step,x\\n1,2\\n')", "curve.csv has no column 'loss'"),
        ("(folder / 'curve.csv').write_text('step,loss\\n2,2\\n')", "row 1 has step = '2'; exp"),
        ("(folder / 'final.json').write_text('{')", "final.json is not JSON"),
        ("sys.exit('the cluster is on fire')", "ended with exit code 1: the cluster is on fire"),
        ("sys.exit(3)", "ended with exit code 3: nothing on its standard error"),
    ],
)
def test_a_broken_contract_is_one_clear_sentence(make_run, run_program, lines, message):
    folder = make_run(PROGRAM)
    assert run_program(folder, lines) == "failed"
    assert folder.state() == "failed" and message in error_of(folder)
    assert folder.latest_attempt().end.cause == "user_error"


def test_the_last_lines_of_standard_error_are_its_traceback(make_run, run_program):
    folder = make_run(PROGRAM)
    assert run_program(folder, "def f(): raise KeyError('lost')\nf()") == "failed"
    end = folder.latest_attempt().end
    assert "KeyError: 'lost'" in end.error and "in f" in end.traceback
    assert "scaling/training/command.py" not in end.traceback


def test_failures_of_one_kind_are_alike_whatever_they_name(make_run, run_program):
    """Else the breaker of a launch would not see that a program is broken for all runs."""
    marks = []
    for seed, line in enumerate(["1 / 0", "{}[steps]", "{}[7]"]):
        folder = make_run(PROGRAM | {"seed": seed})
        assert run_program(folder, line) == "failed"
        marks.append(folder.latest_attempt().end.signature)
    assert marks[0] != marks[1] == marks[2]


def test_a_command_that_cannot_be_started_says_so(make_run):
    folder = make_run(PROGRAM)
    claim = Claim.acquire(folder, 60.0)
    execution = ExecutionConfig(command=["no-such-program", "{config}"])
    assert command.train([claim], {}, execution) == "failed"
    assert "cannot start 'no-such-program': No such file" in error_of(folder)


def test_a_lack_of_memory_halves_what_the_next_attempt_is_told(make_run, run_program):
    folder = make_run(PROGRAM)
    lines = """
if config["micro_batch"] > 1:
    sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20 GiB")
leave(whole, validation_loss=1.0)
"""
    outcomes = [run_program(folder, lines) for _ in range(3)]
    assert outcomes == ["failed", "failed", "done"]
    assert folder.record().machine.micro_batch == 1


# ---------------------------------------------------------------------- stopping

SLOW = """
saved = checkpoints / "step"
begin = int(saved.read_text()) if saved.exists() else 0
def stop(*_):
    saved.write_text(str(step))
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
for step in range(begin, steps):
    time.sleep(0.02)
    (folder / "new.json").write_text(json.dumps({"step": step + 1, "loss": 2.0}))
    os.replace(folder / "new.json", folder / "progress.json")
leave(whole, validation_loss=1.0, started_at_step=begin)
"""


def test_sigterm_asks_it_to_save_and_the_next_attempt_finds_what_it_saved(make_run, run_program):
    folder = make_run(PROGRAM)
    assert run_program(folder, SLOW, lambda: folder.progress(1).reached > 5) == "interrupted"
    assert folder.state() == "interrupted" and not folder.latest_attempt().end.error
    assert run_program(folder, SLOW) == "done"
    assert folder.record().started_at_step > 5
    assert folder.record().throughput.seconds > folder.progress(1).seconds > 0


def test_a_person_may_cancel_it(make_run, run_program):
    folder = make_run(PROGRAM)

    def cancel() -> bool:
        if folder.progress(1).reached > 5:
            folder.attempt_file(1, "cancel").touch()
        return False

    assert run_program(folder, SLOW, cancel) == "cancelled"
    assert folder.latest_attempt().end.reason == "cancelled"


def test_a_program_that_does_not_listen_is_killed_with_all_that_it_started(
    make_run, run_program, monkeypatch, tmp_path
):
    monkeypatch.setattr(command, "GRACE_SECONDS", 0.5)
    folder = make_run(PROGRAM)
    lines = f"""
import subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"])
Path({str(tmp_path / "child")!r}).write_text(str(child.pid))
time.sleep(1000)
"""
    assert run_program(folder, lines, (tmp_path / "child").exists) == "interrupted"
    wait_until(lambda: is_gone(int((tmp_path / "child").read_text())))


def test_a_program_that_is_killed_is_interrupted_and_not_at_fault(make_run, run_program):
    folder = make_run(PROGRAM)
    assert run_program(folder, "os.kill(os.getpid(), signal.SIGKILL)") == "interrupted"
    assert folder.state() == "interrupted" and "was killed by SIGKILL" in error_of(folder)


def test_a_run_that_was_taken_over_is_given_up(make_run, run_program):
    folder = make_run(PROGRAM)

    def taken_over() -> bool:
        folder.attempt_file(2, "json").write_text(folder.attempt_file(1, "json").read_text())
        return False

    assert run_program(folder, "time.sleep(1000)", taken_over) == "lost"
    assert json.loads(folder.attempt_file(1, "end").read_text())["reason"] == "lost"


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---------------------------------------------------------------------- the documented program

ROOT = Path(__file__).parents[3]
STUDY = """
# @package _global_
defaults:
  - override /data: markov
  - override /trainer: command
  - override /launch: inline
study:
  name: bigrams
  question: Does a program of somebody else make runs like any other?
  blocks:
    ladder:
      role: fit
      grid: {model: {width: [8, 16]}, tokens: [12800, 25600]}
model: {depth: 1, head_dim: 8, context: 16}
data:
  options: {vocab: 8, successors: 2, tokens: 40001, validation_tokens: 1025}
  validation_tokens: 512
optimizer: {lr: 0.01}
schedule: {warmup_tokens: 256}
batch: 4
trainer: {program: bigram}
execution: {command: ["{python}", "bigram.py", "{config}"]}
"""


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Launches, as a person does, the study of the program of docs/trainers.md."""
    text = (ROOT / "docs" / "trainers.md").read_text()
    program = text.partition("```python\n")[2].partition("```")[0]
    # Some steps take a moment, so that there is something to kill.
    append = "    losses.append(loss)\n"
    slowly = program.replace(append, f"{append}    __import__('time').sleep(0.002)\n")
    (tmp_path / "bigram.py").write_text(slowly)
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "bigrams.yaml").write_text(STUDY)
    started: list[subprocess.Popen[bytes]] = []

    def launch() -> subprocess.Popen[bytes]:
        with (tmp_path / "output").open("w") as output:
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "scalinglab.cli", "launch", "study=bigrams"],
                    cwd=tmp_path,
                    env=os.environ | {"PYTHONPATH": str(ROOT)},
                    stdout=output,
                    stderr=output,
                )
            )
        return started[-1]

    yield launch
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.long
def test_the_documented_program_is_launched_killed_and_resumed(study, tmp_path):
    """kill -9 of the launcher, then the same command: its checkpoint is found, each step once."""
    first = study()
    runs = tmp_path / "outputs" / "runs"
    wait_until(
        lambda: any(
            json.loads(p.read_text())["step"] > 20
            for p in runs.glob("*/program/0001/progress.json")
        )
    )
    first.kill()
    first.wait()
    programs = [int(p) for p in os.listdir("/proc") if p.isdecimal() and is_ours(p, tmp_path)]
    wait_until(lambda: all(is_gone(p) for p in programs))
    assert not list(runs.glob("*/DONE"))
    second = study()
    assert second.wait(300) == 0, (tmp_path / "output").read_text()
    folders = [RunFolder(p) for p in runs.iterdir()]
    assert len(folders) == 4 and {f.state() for f in folders} == {"done"}
    (resumed,) = [f for f in folders if f.done().attempt == 2]
    curve = pd.read_csv(resumed.curve_file())
    assert curve["step"].tolist() == list(range(1, resumed.spec().steps + 1))
    for folder in folders:
        final = folder.record().final
        assert final.validation_loss < 1.9  # log 8 = 2.08 at the start
        assert folder.record().spec.trainer.program == "bigram"


def is_ours(process: str, folder: Path) -> bool:
    try:
        return str(folder) in Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return False
