"""Norms extrapolated over size and learning rate, and what is said of runs ahead."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from scalinglab.analysis.forecasts import norms
from scalinglab.analysis.forecasts.norms import (
    NORMS,
    measured_norms,
    norm_line,
    norm_warnings,
    predicted_norms,
    recipe_without_lr,
    unfinished_norms,
)
from scalinglab.scaling.records.atomic import read_json, write_json
from scalinglab.scaling.records.run_end import file_hash
from scalinglab.scaling.records.run_folder import RunFolder

ATTENTION, GRADIENT = NORMS[:2]


def finished(noise: float = 0.05, seed: int = 0, lrs=(1e-3, 1e-2)) -> pd.DataFrame:
    """Attention logits grow as N^0.5 lr^0.8, gradients fall as N^-0.7 lr^-0.2."""
    rng = np.random.default_rng(seed)
    N, lr = (x.ravel() for x in np.meshgrid(np.geomspace(1e4, 1e6, 5), lrs))
    luck = np.exp(noise * rng.standard_normal((2, len(N))))
    return pd.DataFrame(
        {
            "recipe": "r",
            "N": N,
            "lr": lr,
            "attention_logit_max": 0.5 * N**0.5 * (lr / 1e-2) ** 0.8 * luck[0],
            "gradient_rms_min": 1e-2 * N**-0.7 * lr**-0.2 * luck[1],
        }
    )


def planned(*runs: tuple[float, float], recipe: str = "r") -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"run_id": f"run{i}", "recipe": recipe, "N": N, "lr": lr, "epsilon": 1e-8}
            for i, (N, lr) in enumerate(runs)
        ]
    )


def test_the_power_law_is_recovered_and_its_interval_holds_a_new_run() -> None:
    inside = []
    for seed in range(200):
        line = norm_line(ATTENTION, finished(seed=seed))
        found = line.predict(1e8, 1e-2)
        luck = np.exp(0.05 * np.random.default_rng(seed + 1000).standard_normal())
        inside.append(found["lower"] <= 5e3 * luck <= found["upper"])
    assert line.params[1:] == pytest.approx([0.5, 0.8], abs=0.05)
    assert 0.9 <= np.mean(inside) <= 0.99


def test_a_run_beyond_the_limit_is_told_with_the_source_and_others_are_not() -> None:
    table = predicted_norms(finished(), planned((1e7, 1e-2), (4e9, 1e-2)))
    rows = table[table["norm"] == "attention_logit_max"].set_index("run_id")
    assert rows["trouble"].to_dict() == {"run0": "", "run1": "expected"}
    (sentence,) = [s for s in norm_warnings(table) if s.startswith("attention_logit_max")]
    assert "of 1 planned run is expected to be" in sentence and "run1" in sentence
    assert "through 10 finished runs" in sentence and "arXiv 2309.14322" in sentence


def test_where_the_interval_alone_reaches_the_limit_it_may_be() -> None:
    table = predicted_norms(finished(noise=0.3), planned((2.5e8, 1e-2)))
    row = table[table["norm"] == "attention_logit_max"].iloc[0]
    assert row["value"] < 1e4 < row["upper"] and row["trouble"] == "possible"
    assert "may reach its limit" in " ".join(norm_warnings(table))


def test_a_gradient_is_held_against_the_epsilon_of_the_run() -> None:
    table = predicted_norms(finished(), planned((3e9, 1e-2)))
    row = table[table["norm"] == "gradient_rms_min"].iloc[0]
    assert row["limit"] == 1e-8 and row["value"] < 1e-8 and row["trouble"] == "expected"


def test_nothing_is_said_beyond_what_the_runs_varied() -> None:
    one_rate = finished(lrs=(1e-2,))
    told = predicted_norms(one_rate, planned((1e8, 1e-2), (1e8, 1e-1)))
    assert set(told["run_id"]) == {"run0"}  # no run tells what another learning rate does
    assert predicted_norms(one_rate, planned((1e8, 1e-2), recipe="other")).empty
    assert norm_line(ATTENTION, one_rate.head(3)) is None  # one degree of freedom
    assert norm_line(GRADIENT, one_rate.drop(columns="gradient_rms_min")) is None


def test_finished_runs_that_have_norms_are_read_by_their_recipe(
    finished, tmp_path, monkeypatch
) -> None:
    assert unfinished_norms(finished, "tiny").empty  # all have ended
    outputs = shutil.copytree(finished, tmp_path / "outputs")
    folders = [RunFolder(mark.parent) for mark in sorted(outputs.glob("runs/*/DONE"))]
    folders = [folder for folder in folders if folder.done().status == "done"]
    measured, kinds = folders[:2], set()
    for folder in measured:
        spec = folder.spec()
        kinds.add(recipe_without_lr(spec.science, spec.config, vars(spec.shape)))
        _measure(folder, {"activation_rms.0": 2.0, "activation_rms.1": 3.0})
    read = []
    monkeypatch.setattr(
        RunFolder, "record", lambda self, record=RunFolder.record: read.append(self) or record(self)
    )
    table = measured_norms(outputs, kinds)
    assert set(table["recipe"]) == kinds and (table["activation_rms"] == 3.0).all()
    assert {folder.path for folder in read} == {folder.path for folder in measured}
    assert measured_norms(outputs, {"another"}).empty and len(read) == len(measured)
    monkeypatch.setattr(norms, "_MOST_RUNS", 1)
    assert len(measured_norms(outputs, kinds)) == 1
    record_file = measured[0].path / read_json(measured[0].done_file)["record"]
    record_file.write_text(record_file.read_text()[:-9])  # cut off: told, and left out
    monkeypatch.setattr(norms, "_MOST_RUNS", 9)
    assert len(measured_norms(outputs, kinds)) == 1


def _measure(folder: RunFolder, columns: dict[str, float]) -> None:
    """Write norms into the record of a finished run."""
    done = read_json(folder.done_file)
    path = folder.path / done["record"]
    record = read_json(path)
    steps = {"step": [record["steps"]]} | {name: [value] for name, value in columns.items()}
    write_json(path, record | {"measured": steps})
    write_json(folder.done_file, done | {"sha256": done["sha256"] | {path.name: file_hash(path)}})
