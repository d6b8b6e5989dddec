"""Scores of a harness become columns of the runs whose models it scored."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from scalinglab import analysis
from scalinglab.answers.harness import join_scores
from scalinglab.scaling.errors import ConfigError
from scalinglab.sweeps.store.stored_plan import StoredPlan, read_plan
from tests.analysis.importers.test_harness import document


@pytest.fixture
def plan(finished: Path, tmp_path: Path) -> StoredPlan:
    """A finished study that may be written to."""
    shutil.copytree(finished, tmp_path / "outputs")
    return read_plan(tmp_path / "outputs", "tiny")


def write(folder: Path, name: str, model: str, accuracy: float = 0.5) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document(model, endings={"acc,none": accuracy})))
    return file


def test_scores_join_runs_by_the_names_of_their_folders(plan, tmp_path):
    done = [r for r in plan.runs if "fit" in r.roles and r.folder.state() == "done"][:3]
    for i, run in enumerate(done):
        name = f"exported/{run.run_id}-{run.spec().steps}-llama" if i else run.run_id
        write(tmp_path / "results" / str(i), f"results_{i}.json", name, i / 4)
    first = join_scores([str(tmp_path / "results")], plan)
    assert {one.run_id for one in first} == {r.run_id for r in done} and all(o.new for o in first)
    assert not any(one.new for one in join_scores([str(tmp_path / "results")], plan))
    table = analysis.load(tmp_path / "outputs", study="tiny").set_index("run_id")
    values = table.loc[[r.run_id for r in done], "task.endings.acc"].tolist()
    assert values == [0.0, 0.25, 0.5]


def test_an_earlier_checkpoint_is_a_point_of_the_curve(plan, tmp_path):
    run = plan.runs[0]
    file = write(tmp_path, "results_a.json", f"exported/{run.run_id}-2-llama")
    (joined,) = join_scores([str(file)], plan)
    assert (joined.run_id, joined.step) == (run.run_id, 2)
    assert "task.endings.acc" not in analysis.load(tmp_path / "outputs", study="tiny").dropna(
        axis=1, how="all"
    )
    curves = analysis.load_curves(tmp_path / "outputs", study="tiny")
    point = curves[(curves["run"] == run.run_id) & (curves["step"] == 2)]
    assert point["task.endings.acc"].tolist() == [0.5]


def test_what_belongs_to_no_run_is_refused_before_anything_is_stored(plan, tmp_path):
    run = plan.runs[0]
    good = write(tmp_path, "results_a.json", run.run_id)
    for model, message in (
        ("exported/zzz-80-llama", "is no run of study 'tiny'"),
        (f"{run.run_id}-99999-llama", "step 99999: run .* has"),
    ):
        bad = write(tmp_path, "results_b.json", model)
        with pytest.raises(ConfigError, match=message):
            join_scores([str(good), str(bad)], plan)
    assert not list((run.folder.path / "probes").glob("harness-*"))
    for name, text, message in (
        ("gone", None, "there is no such file"),
        ("x.json", "{", "is no JSON"),
        ("x.json", "{}", "no result file of lm-evaluation-harness"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(ConfigError, match=message):
            join_scores([str(tmp_path / name)], plan)
