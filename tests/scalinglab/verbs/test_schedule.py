"""``scaling schedule`` as a person uses it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def curves(tmp_path) -> str:
    step = np.arange(400)
    shapes = {
        "constant": np.ones(400),
        "wsd": np.clip((400 - step) / 80, 0.1, 1),
        "cosine": 0.55 + 0.45 * np.cos(np.pi * step / 400),
    }
    tables = []
    for name, shape in shapes.items():
        lr = 3e-3 * np.minimum((step + 1) / 40, 1) * shape
        loss = 2.5 + 0.9 * np.cumsum(lr) ** -0.45 + 20 * lr
        tables.append(pd.DataFrame({"run": name, "step": step, "lr": lr, "loss": loss}))
    table = pd.concat(tables)
    table["loss"] = table["loss"].where((table.step % 20 == 0) & (table.step >= 60))
    table.to_csv(tmp_path / "curves.csv", index=False)
    return f"data={tmp_path}/curves.csv"


def test_a_schedule_is_written_that_train_accepts(run, curves, tmp_path, tiny_overrides) -> None:
    file = tmp_path / "best.csv"
    code, out, _ = run(
        "schedule",
        curves,
        "law=lr_annealing",
        "steps=40",
        "warmup=4",
        "peak=0.01",
        "resamples=20",
        f"to={file}",
        "--json",
    )
    answer = json.loads(out)
    assert code == 0 and answer["written"] == str(file) and len(answer["gains"]) == 3
    assert pd.read_csv(file)["lr"].max() <= 0.01
    code, out, error = run(
        "train",
        *tiny_overrides,
        "schedule=file",
        f"schedule.path={file}",
        "optimizer.lr=0.01",
        f"outputs={tmp_path}/out",
    )
    assert code == 0, error


def test_words_for_people(run, curves) -> None:
    code, out, _ = run(
        "schedule", curves, "law=lr_annealing", "steps=400", "resamples=20", "refits=false"
    )
    assert (
        code == 0 and "Predicted gain over the usual schedules" in out and "wsd (20% linear)" in out
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["law=lr_annealing"], "steps is not set"),
        (["steps=400", "law=chinchilla"], "chinchilla"),
        (["steps=400", "stpes=1"], "did you mean 'steps'"),
        (["steps=400", "to=x.json"], "the schedule is a .csv file"),
        (["steps=400", "law=lr_annealing", "warmup=300"], "warmup = 300: allowed is 0 to 200"),
    ],
)
def test_a_mistake_is_one_sentence(run, curves, arguments, message) -> None:
    code, out, error = run("schedule", curves, "resamples=0", "refits=false", *arguments)
    assert code == 2 and out == "" and message in error and error.count("\n") == 1
