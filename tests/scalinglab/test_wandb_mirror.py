"""What wandb is given is what the record says; read back by wandb's own tool."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pandas as pd
import pytest

from scalinglab.scaling.config import ConfigError
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.wandb_mirror import MirrorError, WandbMirror


@pytest.fixture
def outputs(finished: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy of the finished study; wandb finds neither a key nor a network."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:1")
    return shutil.copytree(finished, tmp_path / "outputs")


@pytest.fixture
def runs(outputs: Path) -> dict[str, RunFolder]:
    """One done and one diverged run."""
    found = {}
    for done in sorted(outputs.glob("runs/*/DONE")):
        found.setdefault(RunFolder(done.parent).state(), RunFolder(done.parent))
    return found


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*"))


def read(segment: Path) -> list[dict]:
    """The records of an offline run, as wandb's own reader prints them."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(segment)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def history(segment: Path) -> pd.DataFrame:
    items = [
        r["history"]["item"] | {"step": r["history"]["step"]["num"]}
        for r in read(segment)
        if r["type"] == "history"
    ]
    return pd.DataFrame(items)


def test_wandb_holds_what_the_record_says(runs, tmp_path) -> None:
    with WandbMirror(tmp_path / "board", "p") as board:
        pushed = {state: board.push(f, "tiny", "fit", state) for state, f in runs.items()}
    done, diverged = (
        next(s for s in segments(tmp_path / "board") if runs[state].run_id in s.name)
        for state in ("done", "diverged")
    )
    points, curve = history(done), pd.read_csv(runs["done"].curve_file()).set_index("step")
    assert len(points) == pushed["done"]
    points.index = points["step"] - len(curve)
    for ours, theirs in {
        "loss": "train/loss",
        "lr": "train/lr",
        "tokens": "tokens",
        "grad_norm": "train/grad_norm",
    }.items():
        assert points[theirs].equals(curve.loc[points.index, ours].astype(points[theirs].dtype))
    validation = curve["validation_loss"].dropna()  # every one of them
    pd.testing.assert_series_equal(
        points["validation/loss"].dropna(), validation, check_names=False, check_exact=True
    )
    records = read(done)
    run = next(r["run"] for r in records if r["type"] == "run")
    assert run["run_id"] == runs["done"].run_id
    assert (run["run_group"], run["job_type"]) == ("tiny", "fit")
    assert run["config"]["update"]["science"] == runs["done"].record().spec.science
    assert run["config"]["update"]["counts"] == runs["done"].record().spec.counts
    axes = {m["name"]: m.get("step_metric") for r in records if (m := r.get("metric"))}
    assert axes["validation/loss"] == "tokens" and "flops" in axes
    summary: dict = {}
    for record in records:
        summary |= record.get("summary", {}).get("update", {})
    final = runs["done"].record().final
    assert summary["final/validation_loss"] == final.validation_loss
    assert summary["state"] == "done"
    assert any('"diverged"' in json.dumps(r) for r in read(diverged))


def test_pushing_again_pushes_only_what_is_new(runs, tmp_path) -> None:
    folder = tmp_path / "board"
    for study, points in (("tiny", True), ("tiny", False), ("other", False), ("other", False)):
        with WandbMirror(folder, "p") as board:
            assert bool(board.push(runs["done"], study, "fit", "done")) == points
    first, second = segments(folder)  # the second says that another study has it, too
    assert history(second).empty
    said = next(r["run"] for r in read(second) if r["type"] == "run")
    assert said["run_group"] == "tiny" and said["tags"] == ["fit", "other", "tiny"]


def test_progress_comes_before_the_curve(runs, tmp_path) -> None:
    folder = runs["done"]
    done = folder.done_file.read_text()
    folder.done_file.unlink()
    claim = Claim.acquire(folder, 60.0)
    with WandbMirror(tmp_path / "board", "p") as board:
        assert board.push(folder, "tiny", "fit", "running", keep_open=True) == 0
        for step in (10, 10, 20):  # the same heartbeat is pushed once
            claim.report({"step": step, "steps": 80, "loss": 2.0, "tokens_per_second": 1e3})
            board.push(folder, "tiny", "fit", "running", keep_open=True)
        claim.release("interrupted")
        folder.done_file.write_text(done)
        for state in ("running", "done"):  # the run has ended since its state was looked up
            board.push(folder, "tiny", "fit", state, keep_open=True)
    (segment,) = segments(tmp_path / "board")
    points = history(segment)
    assert points["step"].is_monotonic_increasing and points["step"].is_unique
    assert points["progress/loss"].notna().sum() == 2
    assert points["train/loss"].notna().sum() == len(points) - 2


def test_what_a_killed_push_left_is_written_again(runs, tmp_path) -> None:
    folder, board = runs["done"], tmp_path / "board"
    with WandbMirror(board, "p") as first:
        first.push(folder, "tiny", "fit", "done")
    (segment,) = segments(board)
    note = board / "pushed" / "p" / f"{folder.run_id}.json"
    write_json(note, read_json(note) | {"writing": str(segment), "before": {}})
    (segment / "half").touch()
    with WandbMirror(board, "p") as second:
        assert second.push(folder, "tiny", "fit", "done") > 0
    (again,) = segments(board)
    assert not (again / "half").exists() and len(history(again)) > 10


def test_two_do_not_push_at_once(tmp_path) -> None:
    with WandbMirror(tmp_path, "p"), pytest.raises(MirrorError, match="another process is pushing"):
        WandbMirror(tmp_path, "p")
    with pytest.raises(ConfigError, match="mode = 'onlin' is not one of: offline, online"):
        WandbMirror(tmp_path, "p", mode="onlin")


@pytest.fixture
def sync(outputs):
    """Run ``scaling sync`` in a process of its own (wandb reads its variables once a process)."""

    def command(*arguments: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "scalinglab.cli", "sync", f"outputs={outputs}", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        return done.returncode, done.stdout, done.stderr

    return command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study=nope"], "there is no study 'nope'"),
        (["study=tiny", "mode=onlin"], "mode = 'onlin' is not one of: offline, online"),
        (["study=tiny", "dir=/dev/null/x"], "/dev/null/x"),
        (["study=tiny", "seconds=0"], "seconds = 0.0: allowed is above 0"),
        (["study=tiny", "mode=online"], "http://127.0.0.1:1 cannot be reached"),
    ],
)
def test_a_mistake_is_one_sentence(sync, arguments, message) -> None:
    code, _, error = sync(*arguments)
    assert code == 2 and message in error and error.count("\n") == 1


class Answers(BaseHTTPRequestHandler):
    """A server that knows nothing."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_server_without_a_key_is_one_sentence(sync, outputs, monkeypatch) -> None:
    for done in sorted(outputs.glob("runs/*/DONE"))[2:]:
        shutil.rmtree(done.parent / "attempts")
        done.unlink()  # never begun, as far as anybody can see
    code, out, _ = sync("study=tiny")
    assert code == 0 and "2 runs pushed" in out and "wandb sync" in out
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    code, _, error = sync("study=tiny", "mode=online")
    server.shutdown()
    server.server_close()
    assert code == 2 and "No API key configured" in error and error.count("\n") == 1
    assert len(segments(outputs / "dashboard")) == 2  # nothing is lost
