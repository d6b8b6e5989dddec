"""A study in Python gives what the command line gives, and an interrupt loses nothing."""

from __future__ import annotations

import os
import queue
import time
from pathlib import Path

import pandas as pd
import pytest
from jupyter_client.manager import start_new_kernel

from scalinglab import Study, analysis
from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.store.status import status

SMALL = ["study.blocks.ladder.grid.tokens=[2560]", "~study.blocks.curves"]


def test_from_the_plan_to_the_curves(study, tmp_path, capsys) -> None:
    study()  # makes the folder in which the study's file lies the current one
    opened = Study.open("tiny", *SMALL, outputs="here")
    plan = opened.plan()
    rows = plan.frame
    assert (rows["new_steps"] == rows["steps"]).all() and rows["seconds"].gt(0).all()
    assert plan.warnings and all(part in plan._repr_html_() for part in rows["run_id"])
    ended = opened.launch("launch=inline")
    found = ended.frame
    assert ended.code == 0 and set(found["state"]) == {"done"}
    assert set(found["run_id"]) == set(rows["run_id"])
    assert "\n2/2  " in capsys.readouterr().out
    assert opened.plan().frame["new_steps"].sum() == 0
    runs, curves = opened.results(), opened.curves()
    loaded = analysis.load(tmp_path / "here", study="tiny").set_index("run_id")
    assert runs["loss"].tolist() == loaded.loc[runs["run_id"], "loss"].tolist()
    last = curves.dropna(subset="loss").groupby("run_id")["loss"].last()
    assert last.loc[runs["run_id"]].tolist() == runs["loss"].tolist()
    pd.testing.assert_frame_equal(opened.status(), status(tmp_path / "here", "tiny"))
    before = capsys.readouterr().out
    opened.launch("launch=inline")
    assert "running" not in before + capsys.readouterr().out


SEARCH = """
# @package _global_
defaults:
  - override /data: markov
study:
  name: search
  question: Which settings?
  blocks:
    arm:
      role: sweep
      generator: tune
      options: {budget: 4, space: {optimizer: {lr: [0.01, 0.02], weight_decay: [0.1, 0.3]}}}
model: {depth: 1, width: 8, head_dim: 8, context: 16}
data:
  options: {vocab: 8, successors: 4, tokens: 20001, validation_tokens: 1025}
  validation_tokens: 512
schedule: {warmup_tokens: 64}
batch: 4
tokens: 640
"""


def test_a_search_is_launched_until_it_asks_for_nothing(study, tmp_path) -> None:
    study()
    (tmp_path / "conf" / "study" / "search.yaml").write_text(SEARCH)
    searched = Study.open("search", "launch.measure=off")
    first = len(searched.plan().frame)
    ended = searched.launch("launch=inline")
    assert ended.code == 0 and len(ended.frame) > first
    assert set(ended.frame["state"]) == {"done"} and not searched.plan().totals.new_steps


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("tyni", [], "study = 'tyni': there is no conf/study/tyni.yaml"),
        ("tiny", ["model.widht=3"], "unknown key 'model.widht'"),
        ("tiny", ["study.name=other"], "has the name of its file, 'tiny'"),
        ("tiny", ["tokens=3"], "tokens=3 changes nothing: every block's grid sets"),
        ("tiny", ["+study.answer.law=chinchila"], "study.answer.law = 'chinchila'"),
        ("tiny", ["launch.budget.device_hours=1e-9"], "launch.budget.device_hours"),
        ("tiny", ["launch.backend=slurrm"], "launch.backend = 'slurrm' is not one of"),
    ],
)
def test_a_mistake_is_one_sentence(study, name, overrides, message) -> None:
    study()
    with pytest.raises(ConfigError) as caught:
        Study.open(name, *overrides).launch()
    assert message in str(caught.value)


def test_a_study_that_was_never_launched(tmp_path) -> None:
    for ask in ("status", "results", "curves"):
        with pytest.raises(ConfigError, match="there is no study 'tiny'"):
            getattr(Study.open("tiny", outputs=tmp_path), ask)()


CELLS = """
from scalinglab import Study
study = Study.open("tiny", "study.blocks.ladder.grid.tokens=[51200]", "data.max_epochs=10",
                   "~study.blocks.curves", "study.blocks.ladder.grid.model.width=[16]",
                   "execution.checkpoint_seconds=0.2", outputs={outputs!r})
found = study.launch("launch.workers=1").frame
print("states:", sorted(set(found["state"])))
"""


@pytest.mark.slow  # a kernel and its workers start twice; tests/sweeps/launch interrupts a launch
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_interrupting_the_kernel_saves_and_the_next_launch_goes_on(study, tmp_path) -> None:
    study()
    outputs = tmp_path / "outputs"
    root = str(Path(__file__).parents[2])
    manager, client = start_new_kernel(
        kernel_name="python3", cwd=str(tmp_path), env=os.environ | {"PYTHONPATH": root}
    )
    try:
        code = CELLS.format(outputs=str(outputs))
        client.execute(code)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and not list(outputs.glob("checkpoints/*/*.*.pt")):
            time.sleep(0.1)
        manager.interrupt_kernel()
        said = output(client)
        assert "interrupted; all runs are saved" in said and "'interrupted'" in said
        client.execute(code)
        assert "states: ['done']" in output(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    started = analysis.load(outputs, study="tiny")
    assert len(started) and any(
        pd.read_json(p, typ="series")["started_at_step"] > 0
        for p in outputs.glob("runs/*/record-0002.json")
    )


def output(client) -> str:
    """What a cell prints until the kernel is idle again."""
    said, deadline = "", time.monotonic() + 600
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            continue
        if message["msg_type"] in ("stream", "error"):
            said += message["content"].get("text", "") + str(message["content"].get("evalue", ""))
        if (
            message["msg_type"] == "status"
            and said
            and (message["content"]["execution_state"] == "idle")
        ):
            break
    return said
