"""A study of somebody else's program that trains another network than the configuration's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab import Study, analysis

PROGRAM = """
import json, sys
from pathlib import Path
config = json.loads(Path(sys.argv[1]).read_text())
folder, steps, width = Path(config["folder"]), config["steps"], config["model"]["width"]
experts = config["options"]["experts"]
loss = 1 + width**-0.5 + config["tokens"] ** -0.3 - 0.01 * experts
rows = [f"{i},{loss + 1 / i},{loss + 2 if i == steps else ''}" for i in range(1, steps + 1)]
(folder / "curve.csv").write_text("\\n".join(["step,loss,loss.wiki", *rows]))
one = 10 * width**2
said = {"counts": {"n_matmul": one * experts, "n_total": one * experts + 7, "n_active": one},
        "flops_per_token": 7 * one} if experts > 1 else {}
said |= {"validation_loss": loss, "losses": {"c4": loss + 1}, "metrics": {"router_entropy": 0.5}}
(folder / "final.json").write_text(json.dumps(said))
"""


STUDY = """
# @package _global_
defaults:
  - override /data: markov
  - override /trainer: command
  - override /launch: inline
study:
  name: theirs
  question: Do experts help?
  blocks:
    ladder:
      role: fit
      grid: {model: {width: [16, 32]}, tokens: [2560, 5120], trainer.options.experts: [1, 4]}
trainer: {program: theirs, options: {experts: 1}}
execution: {command: ["{python}", "moe.py", "{config}"]}
"""


GIVEN = ("data=", "model.width=", "tokens=")  # by the study itself


@pytest.fixture
def study(tmp_path: Path, tiny_overrides, monkeypatch) -> Study:
    monkeypatch.chdir(tmp_path)
    Path("moe.py").write_text(PROGRAM)
    groups = Path("scaling_conf", "study")
    groups.mkdir(parents=True)
    (groups / "theirs.yaml").write_text(STUDY)
    return Study.open("theirs", *(o for o in tiny_overrides if not o.startswith(GIVEN)))


def test_what_it_trained_is_what_the_program_says(study: Study, tmp_path: Path) -> None:
    before = study.plan()
    assert any("is not known before a run has ended" in w for w in before.warnings)
    assert study.launch().code == 0
    runs = analysis.load("outputs", study="theirs", flops="matmul")
    assert set(runs["run_id"]) == set(before.frame["run_id"])
    moe = runs[runs["counts_from"] == "theirs"]
    dense = runs[runs["counts_from"].isna()]
    assert len(moe) == len(dense) == 4
    assert (moe["n_active"] == 10 * moe["width"] ** 2).all() and moe["n_block"].isna().all()
    assert (moe["N"] == 4 * moe["n_active"]).all() and (moe["n_count"] == "n_matmul").all()
    assert (moe["C"] == 70 * moe["width"] ** 2 * moe["D"]).all()
    assert (moe["flops_convention"] == "program").all()
    assert (dense["n_active"] == dense["n_matmul"]).all()
    assert np.allclose(dense["C"], 6 * dense["N"] * dense["D"])
    assert np.allclose(runs["loss.c4"], runs["loss"] + 1)
    assert np.allclose(runs["loss.wiki"], runs["loss"] + 2)
    assert (runs["router_entropy"] == 0.5).all()

    by_active = analysis.load("outputs", study="theirs", n_count="n_active")
    assert (by_active["N"] == by_active["n_active"]).all()
    # The program did not give this count: N is the first one that it gave.
    by_block = analysis.load("outputs", study="theirs", n_count="n_block")
    assert set(by_block["n_count"]) == {"n_block", "n_matmul"}

    curves = analysis.load_curves("outputs", study="theirs")
    sizes = curves.groupby("run")["N"].first()
    pd.testing.assert_series_equal(
        sizes, runs.set_index("run_id")["N"].sort_index(), check_names=False, check_dtype=False
    )
    result = analysis.fit("power", by_active, columns={"x": "C"}, resamples=0)
    told = [w for w in result.warnings if "the program 'theirs' said it trained" in w]
    assert len(told) == 1 and "C of 4 of 8 runs" in told[0]

    after = study.plan()
    (sentence,) = [w for w in after.warnings if "times what model.* gives" in w]
    assert sentence.startswith("8 finished runs of the program 'theirs' gave N 1 to")
