"""A file of a study that asks for another answer since the study was planned."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scalinglab.changed_answer import changed_answer
from scalinglab.scaling.records.plan_file import (
    AnswerConfig,
    PlanFile,
    StudyConfig,
    write_plan_file,
)

SAME = "study:\n  answer: {law: chinchilla, budgets: [1e12], noise: 0.01}\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    plan = tmp_path / "outputs" / "studies" / "mine" / "plan.json"
    plan.parent.mkdir(parents=True)
    answer = AnswerConfig(budgets=[1e12], noise=0.01, delta=0.1)  # delta: by an override
    write_plan_file(plan, PlanFile(1, StudyConfig("mine", "?", {}, answer), {}, ()))
    os.utime(plan, (1e9, 1e9))
    file = tmp_path / "conf" / "study" / "mine.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(SAME)
    return file


def test_what_a_younger_file_asks_for_is_said(file: Path) -> None:
    outputs = Path("outputs").absolute()
    assert changed_answer(outputs, "mine") == ""
    file.write_text(SAME.replace("chinchilla", "kaplan").replace("0.01", "1e-2"))
    sentence = changed_answer(outputs, "mine")
    assert "conf/study/mine.yaml asks" in sentence and "law: kaplan, planned was chin" in sentence
    assert "noise" not in sentence and "delta" not in sentence
    os.utime(file, (9e8, 9e8))  # older than the plan: an override of the launch chose the law
    assert changed_answer(outputs, "mine") == ""
    file.write_text("study: [")
    assert changed_answer(outputs, "mine") == "" and changed_answer(outputs, "none") == ""
