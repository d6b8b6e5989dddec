"""Result files of lm-evaluation-harness: which columns they give, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scalinglab.analysis.importers.formats.harness import harness_results, is_results
from scalinglab.analysis.importers.read import read_runs
from scalinglab.scaling.errors import UserError


def document(model: str = "exported/a-80-llama", **scores: Any) -> dict[str, Any]:
    """As version 0.4 of the harness writes it."""
    scores = scores or {
        "endings": {
            "alias": "endings",
            "sample_len": 6,
            "acc,none": 0.5,
            "acc_stderr,none": 0.2,
            "exact_match,strict-match": 0.25,
            "bleu_stderr,none": "N/A",
        }
    }
    return {
        "results": scores,
        "configs": {task: {} for task in scores},
        "config": {"model": "hf", "model_args": f"pretrained={model},dtype=float", "limit": None},
        "versions": {},
        "n-shot": {},
    }


def test_scores_are_columns_of_their_task():
    found = harness_results(document(), "it")
    assert found.name == "a-80-llama" and found.model == "exported/a-80-llama"
    assert found.columns == {
        "task.endings.acc": 0.5,
        "task.endings.acc_stderr": 0.2,
        "task.endings.exact_match_strict-match": 0.25,
    }


def test_examples_in_the_context_and_a_limit_are_said():
    few = document()
    few["n-shot"], few["config"]["limit"] = {"endings": 5}, 10.0
    few["config"]["model_args"] = {"pretrained": "b"}
    found = harness_results(few, "it")
    assert found.name == "b" and "task.endings_5shot.acc" in found.columns
    assert found.notes == ("it: scores are of 10 items a task (limit)",)


def test_what_is_no_result_file_is_told_apart():
    assert is_results(document())
    assert not is_results({"results": {}, "configs": {}}) and not is_results([])
    nobody = document()
    nobody["config"]["model_args"] = ""
    with pytest.raises(UserError, match="it names no model"):
        harness_results(nobody, "it")
    with pytest.raises(UserError, match="holds the results of no task"):
        harness_results(document(endings={"alias": "x"}), "it")


def test_runs_made_elsewhere_are_joined_by_the_name_of_their_model(tmp_path: Path):
    (tmp_path / "sweep.csv").write_text(
        "run,N,D,loss\na-80-llama,1000,20000,3.5\nb,2000,20000,3.25\nc,4000,20000,3.1\n"
    )
    for name in ("exported/a-80-llama", "/models/b"):
        file = tmp_path / f"results_{name[-1]}.json"
        file.write_text(json.dumps(document(name)))
    files = [str(tmp_path / n) for n in ("sweep.csv", "results_a.json", "results_b.json")]
    runs = read_runs(files).runs.set_index("run_id")
    assert runs.loc[["a-80-llama", "b"], "task.endings.acc"].tolist() == [0.5, 0.5]
    assert runs["task.endings.acc"].isna()["c"] and runs.loc["b", "loss"] == 3.25
    scored = "run,N,D,loss,task.endings.acc\na-80-llama,1000,20000,3.5,1\nb,2000,20000,3.25,1\n"
    (tmp_path / "sweep.csv").write_text(scored)
    with pytest.raises(UserError, match="'task.endings.acc' is in the table of runs and in"):
        read_runs(files)
