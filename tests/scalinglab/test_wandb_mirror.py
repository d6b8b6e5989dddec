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

from scalinglab import Study, analysis
from scalinglab.analysis.reporting.written import figures_in
from scalinglab.answers.report import write_page
from scalinglab.cli import main
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.wandb_client import MirrorError
from scalinglab.wandb_folder import folder_runs
from scalinglab.wandb_mirror import WandbMirror
from scalinglab.wandb_run import InStudy


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


@pytest.fixture
def few(outputs: Path) -> Path:
    """The study with two ended runs, one of which diverged; no other has begun, as it seems."""
    kept = {}
    for done in sorted(outputs.glob("runs/*/DONE")):
        if kept.setdefault(RunFolder(done.parent).state(), done) != done:
            shutil.rmtree(done.parent / "attempts")
            done.unlink()
    assert len(kept) == 2
    return outputs


FIT = InStudy("tiny", "fit", "optimizer=adamw loops=2", "Does it <run>?")


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/offline-run-*"))


def read(segment: Path) -> list[dict]:
    """The records of an offline run, as wandb's own reader prints them."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(segment)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


def history(segment: Path) -> pd.DataFrame:
    return pd.DataFrame([r["history"]["item"] for r in read(segment) if r["type"] == "history"])


@pytest.mark.long
def test_wandb_holds_what_the_record_says(runs, tmp_path) -> None:
    with WandbMirror(tmp_path / "board", "p") as board:
        pushed = {state: board.push(f, FIT, state) for state, f in runs.items()}
    (done,) = (s for s in segments(tmp_path / "board") if runs["done"].run_id in s.name)
    points, curve = history(done), pd.read_csv(runs["done"].curve_file()).set_index("step")
    assert len(points) == pushed["done"]
    assert points["_step"].equals(points["step"])  # wandb's own step is the true one
    points = points.set_index("step")
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
    found = {run.id: run for run in folder_runs(tmp_path / "board")}
    run, record = found[runs["done"].run_id], runs["done"].record()
    assert run.config["arm"] == {"optimizer": "adamw", "loops": 2}
    assert run.config["science"] == record.spec.science
    assert run.config["counts"] == record.spec.counts
    assert run.config["code"]["fingerprint"] == record.code.fingerprint
    assert run.config["machine"]["host"] == record.machine.host
    assert run.summary["final/validation_loss"] == record.final.validation_loss
    assert run.summary["seconds"] == record.throughput.seconds
    attempts = [runs["done"].attempt(n) for n in runs["done"].attempt_numbers()]
    span = attempts[0].owner.started, attempts[-1].end.ended
    assert run.summary["wall_seconds"] == pytest.approx(span[1] - span[0])
    assert points["_timestamp"].between(*span).all()
    assert {i: r.summary["state"] for i, r in found.items()} == {
        f.run_id: state for state, f in runs.items()
    }
    records = read(done)
    said = next(r["run"] for r in records if r["type"] == "run")
    assert (said["run_group"], said["job_type"], said["notes"]) == ("tiny", "fit", FIT.question)
    metrics = {m["name"]: m for r in records if (m := r.get("metric"))}
    assert metrics["validation/loss"]["step_metric"] == "tokens"
    assert {n for n, m in metrics.items() if m["options"].get("hidden")} == {
        "step",
        "tokens",
        "flops",
    }


@pytest.mark.long
def test_what_is_mirrored_is_read_back_as_the_same_runs(few, sync, outputs) -> None:
    assert sync("study=tiny", "project=p")[0] == 0
    found = folder_runs(outputs / "dashboard")
    assert all(run.id != "study-tiny" for run in found)  # it is no run
    read_back = analysis.read_wandb(found)
    there = read_back.runs.set_index("run_id").sort_index()
    here = analysis.load(outputs, study="tiny").set_index("run_id").loc[there.index]
    assert len(there) == len(found) == 2
    assert {*there["status"]} == {"done", "unfinished"}
    ended = there["status"] == "done"
    assert ended.equals(here["status"] == "done")
    for column in ("N", "D", "C", "loss", "train_loss", "seed", "schedule", "n_total", "n_block"):
        left, right = there.loc[ended, column], here.loc[ended, column]
        pd.testing.assert_series_equal(left, right, check_dtype=False)
    curves = analysis.load_curves(outputs, study="tiny").dropna(subset=["loss"])
    measured = read_back.curves.dropna(subset=["loss"])
    columns, key = ["run", "step", "tokens", "lr", "loss"], ["run", "step"]
    left, right = (
        t[t["run"].isin(there.index[ended])][columns].sort_values(key).reset_index(drop=True)
        for t in (measured, curves)
    )
    pd.testing.assert_frame_equal(left, right, check_dtype=False)


@pytest.mark.long
def test_pushing_again_pushes_only_what_is_new(runs, tmp_path) -> None:
    folder = tmp_path / "board"
    for study, points in (("tiny", True), ("tiny", False), ("other", False), ("other", False)):
        with WandbMirror(folder, "p") as board:
            assert bool(board.push(runs["done"], InStudy(study, "fit"), "done")) == points
    first, second = segments(folder)  # the second says that another study has it, too
    assert history(second).empty
    said = next(r["run"] for r in read(second) if r["type"] == "run")
    assert said["run_group"] == "tiny" and said["tags"] == ["fit", "other", "tiny"]


@pytest.mark.long
def test_live_and_final_are_one_metric(runs, tmp_path) -> None:
    folder = runs["done"]
    done = folder.done_file.read_text()
    curve = pd.read_csv(folder.curve_file()).set_index("step")
    validated = curve["validation_loss"].dropna()
    first = int(validated.index[0])
    folder.done_file.unlink()
    claim = Claim.acquire(folder, 60.0)
    with WandbMirror(tmp_path / "board", "p") as board:
        assert board.push(folder, FIT, "running", keep_open=True) == 0
        for step in (first, first, first + 3):  # the same heartbeat is pushed once
            said = {} if step == first else {str(first): float(validated[first])}  # it comes later
            loss = float(curve.loc[step, "loss"])
            claim.report({"step": step, "loss": loss, "tokens_per_second": 1e3, "validation": said})
            board.push(folder, FIT, "running", keep_open=True)
        claim.release("interrupted")
        folder.done_file.write_text(done)
        for state in ("running", "done"):  # the run has ended since its state was looked up
            board.push(folder, FIT, state, keep_open=True)
    (segment,) = segments(tmp_path / "board")
    points = history(segment)
    assert points["_step"].is_monotonic_increasing and points["_step"].is_unique
    assert points["train/tokens_per_second"].notna().sum() == 2
    for ours, theirs in {"loss": "train/loss", "lr": "train/lr"}.items():
        said = points.dropna(subset=[theirs]).drop_duplicates("step").set_index("step")[theirs]
        assert said.equals(curve.loc[said.index, ours].astype(said.dtype))
    assert points.dropna(subset=["train/loss"])["step"].is_unique  # said live or at the end
    said = points.dropna(subset=["validation/loss"]).set_index("step")["validation/loss"]
    assert said.sort_index().to_dict() == validated.to_dict()
    run = analysis.read_wandb(folder_runs(tmp_path / "board")).runs.iloc[0]
    assert (run["status"], run["loss"]) == ("done", validated.iloc[-1])


def test_what_a_killed_push_left_is_written_again(runs, tmp_path) -> None:
    folder, board = runs["done"], tmp_path / "board"
    with WandbMirror(board, "p") as first:
        first.push(folder, FIT, "done")
    (segment,) = segments(board)
    note = board / "pushed" / "p" / f"{folder.run_id}.json"
    write_json(note, read_json(note) | {"writing": str(segment), "before": {}})
    (segment / "half").touch()
    with WandbMirror(board, "p") as second:
        assert second.push(folder, FIT, "done") > 0
    (again,) = segments(board)
    assert not (again / "half").exists() and len(history(again)) > 10


def test_two_do_not_push_at_once(tmp_path) -> None:
    with WandbMirror(tmp_path, "p"), pytest.raises(MirrorError, match="another process is pushing"):
        WandbMirror(tmp_path, "p")
    with pytest.raises(ConfigError, match="mode = 'onlin' is not one of: offline, online"):
        WandbMirror(tmp_path, "p", mode="onlin")


@pytest.fixture
def sync(outputs, capsys):
    """Run ``scaling sync`` in this process: (exit code, output, error)."""

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["sync", f"outputs={outputs}", *arguments])
        return ended.value.code or 0, *capsys.readouterr()

    return command


@pytest.fixture
def sync_apart(outputs):
    """Run it in a process of its own: wandb reads the variables of a server once a process."""

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
    ],
)
def test_a_mistake_is_one_sentence(sync, arguments, message) -> None:
    code, _, error = sync(*arguments)
    assert code == 2 and message in error and error.count("\n") == 1


def test_a_server_that_is_not_there_is_one_sentence(few, sync_apart) -> None:
    code, _, error = sync_apart("study=tiny", "mode=online")
    assert code == 2 and "http://127.0.0.1:1 cannot be reached" in error
    assert error.count("\n") == 1


class Answers(BaseHTTPRequestHandler):
    """A server that knows nothing."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.mark.long
def test_a_server_without_a_key_is_one_sentence(few, sync_apart, outputs, monkeypatch) -> None:
    code, out, _ = sync_apart("study=tiny")
    assert code == 0 and "2 runs and the study's results pushed" in out and "wandb sync" in out
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
    code, _, error = sync_apart("study=tiny", "mode=online")
    server.shutdown()
    server.server_close()
    assert code == 2 and "No API key configured" in error and error.count("\n") == 1
    assert len(segments(outputs / "dashboard")) == 3  # two runs and the study: nothing is lost


@pytest.mark.long
@pytest.mark.usefixtures("early_fits")
def test_a_study_run_has_its_results(finished, few, sync, outputs, tmp_path) -> None:
    """The answer is that of all runs; two of them are mirrored beside it."""
    whole = shutil.copytree(finished, tmp_path / "whole")
    folder = outputs / "studies" / "tiny"
    _, out, _ = sync("study=tiny")
    assert "scaling report study=tiny writes it" in out
    answered = Study.open("tiny", outputs=str(whole)).answer(
        resamples=20, multiverse=False, laws=False
    )
    write_page(answered)
    shutil.copytree(whole / "studies" / "tiny", folder, dirs_exist_ok=True)
    _, out, _ = sync("study=tiny")
    assert "and the study's results pushed" in out and "writes it" not in out
    _, out, _ = sync("study=tiny")
    assert "results" not in out  # they are not new
    segment = segments(outputs / "dashboard")[-1]
    records = read(segment)
    content = next(r["artifact"] for r in records if r["type"] == "artifact")["manifest"]
    files = {f["path"]: Path(f["local_path"]) for f in content["contents"]}
    assert {"report.html", "answer.json", "plan.json"} <= set(files)
    assert any(name.startswith("figures/") and name.endswith(".svg") for name in files)
    assert all(path.is_relative_to(outputs / "dashboard") for path in files.values())
    assert files["report.html"].read_bytes() == (folder / "report.html").read_bytes()
    summary: dict = {}
    for record in records:
        summary |= record.get("summary", {}).get("update", {})
    values = answered.law.summary["value"]
    assert {n: summary[f"law/{n}"] for n in values.index} == values.to_dict()
    assert summary["answer"] == answered.sentences()[0]


def test_folders_that_are_gone_are_told_and_written_again(few, sync, outputs) -> None:
    sync("study=tiny")
    shutil.rmtree(outputs / "dashboard" / "wandb")
    code, out, _ = sync("study=tiny")
    assert code == 0 and "folders of 3 runs are gone" in out and "again=true" in out
    code, out, _ = sync("study=tiny", "again=true")
    assert code == 0 and "2 runs and the study's results pushed" in out and "are gone" not in out


def test_figures_of_a_page_are_read_by_name() -> None:
    page = '<figure id="law-1" class="broad"><div><svg a="1"><g/></svg></div><div class="b"><svg/>'
    assert figures_in(page + "</div></figure>") == {"law-1": '<svg a="1"><g/></svg>'}
