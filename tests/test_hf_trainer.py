"""The example with Hugging Face's Trainer: a dense network and one with experts, killed and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from scalinglab import Study, analysis
from scalinglab.scaling.records.run_folder import RunFolder

EXAMPLE = Path(__file__).parents[1] / "examples" / "hf_trainer"
pytestmark = pytest.mark.skipif(
    not (find_spec("transformers") and find_spec("accelerate")),
    reason="needs transformers and accelerate, the extra hf",
)
SMALL = [
    "data=markov",
    "data.options.tokens=20001",
    "data.options.validation_tokens=1025",
    "data.validation_tokens=512",
    "model.context=16",
    "batch=4",
    "schedule.warmup_tokens=64",
    "study.blocks.experts.grid.model.width=[16]",
    "study.blocks.experts.grid.tokens=[768]",
]
DENSE = ["study.blocks.dense.grid.model.width=[16]", "study.blocks.dense.grid.tokens=[768]"]
# Each program imports transformers anew, which takes most of its time: one network is enough to
# show the contract, and that with experts asks for more of it.
NETWORKS = [
    pytest.param(["~study.blocks.dense"], id="experts"),
    pytest.param(DENSE, id="both", marks=pytest.mark.slow),
]


@pytest.fixture(params=NETWORKS)
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Study:
    monkeypatch.chdir(EXAMPLE)
    return Study.open("hf_trainer", *SMALL, *request.param, outputs=tmp_path / "out")


@pytest.mark.long
def test_networks_train_and_say_their_sizes(study: Study) -> None:
    assert study.launch("launch=inline").code == 0
    runs = analysis.load(study.outputs, study="hf_trainer").set_index("role")
    width, depth, vocab, mlp = 16, 2, 64, 64
    attention = 4 * width**2
    if "fit" in runs.index:
        assert runs.loc["fit", "n_block"] == depth * (attention + 3 * width * mlp)
    moe = runs.loc["sweep"]
    # 8 experts of half the width of the MLP, 2 of them for each token, and a router.
    router, expert = 8 * width, 3 * width * mlp // 2
    assert moe["n_block"] == depth * (attention + router + 8 * expert)
    assert moe["n_active"] == depth * (attention + router + 2 * expert) + vocab * width
    for _, row in runs.iterrows():
        assert row["n_matmul"] == row["n_block"] + vocab * width
        assert row["n_total"] == row["n_matmul"] + vocab * width + (2 * depth + 1) * width
        assert row["C"] == (6 * row["n_active"] + 6 * depth * width * 16) * row["D"]
        assert row["counts_from"] == "hf_trainer" and row["N"] == row["n_matmul"]
        assert row["loss"] < 4.2 and abs(row["loss.seen"] - row["loss"]) < 1  # log 64 = 4.16
    curves = analysis.load_curves(study.outputs, study="hf_trainer")
    assert curves.groupby("run")["step"].apply(list).map(lambda s: s == list(range(1, 13))).all()
    assert (curves.dropna(subset="loss").groupby("run")["step"].last() == 12).all()


@pytest.mark.slow
@pytest.mark.parametrize("study", NETWORKS[:1], indirect=True)
def test_an_interrupted_run_goes_on_to_the_same_curve(study: Study) -> None:
    """SIGTERM, then a kill without warning: both attempts' steps are one curve, each step once."""
    assert study.launch("launch=inline").code == 0
    runs = analysis.load(study.outputs, study="hf_trainer", role="sweep")  # the experts
    for path in (study.outputs / "runs" / run_id for run_id in runs["run_id"]):
        folder = RunFolder(path)
        told = json.loads((path / "program" / "0001" / "config.json").read_text())
        again = study.outputs / "again" / path.name
        for name in ("folder", "checkpoints"):
            told[name] = str(again / name)
            (again / name).mkdir(parents=True)
        (again / "config.json").write_text(json.dumps(told))
        words = [sys.executable, str(EXAMPLE / "hf_trainer.py"), str(again / "config.json")]
        for end in (signal.SIGTERM, signal.SIGKILL):
            process = subprocess.Popen(
                words, env=os.environ | {"PYTHONPATH": str(EXAMPLE.parents[1])}
            )
            wait_for_progress(again / "folder" / "progress.json", process)
            process.send_signal(end)
            process.wait()
            (again / "folder" / "progress.json").unlink(missing_ok=True)
        subprocess.run(words, check=True)
        assert json.loads((again / "folder" / "final.json").read_text())["started_at_step"] > 0
        curve = pd.read_csv(again / "folder" / "curve.csv")
        whole = pd.read_csv(folder.curve_file())
        assert curve["step"].tolist() == whole["step"].tolist()
        assert curve["loss"].tolist() == pytest.approx(whole["loss"].tolist(), rel=1e-5)


def wait_for_progress(path: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 600
    while process.poll() is None and not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
