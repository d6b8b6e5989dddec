"""What the command line answers, a notebook is answered: same numbers, same refusals."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scalinglab import Study, Table, analysis
from scalinglab.analysis.fitting import best_fit, threshold
from scalinglab.analysis.reporting import outlook
from scalinglab.analysis.reporting.facts import facts_of_answer, facts_of_fit, facts_of_multiverse
from scalinglab.answers.methods import FileAnswers, StudyAnswers
from scalinglab.scaling.text.plain import plain
from scalinglab.verbs.allocate import AllocateResult
from scalinglab.verbs.compare import CompareResult
from scalinglab.verbs.compare_laws import CompareLawsResult
from scalinglab.verbs.forecast import ForecastResult, TaskResult
from scalinglab.verbs.judge import JudgeResult
from scalinglab.verbs.next import NextResult
from scalinglab.verbs.schedule import ScheduleResult
from scalinglab.verbs.track import TrackResult
from scalinglab.verbs.tune import CriticalBatchResult, Recommendation

Answer = Mapping[str, Any]
pytestmark = pytest.mark.usefixtures("early_fits", "few_variants", "undrawn_figures")
OPEN = "loss at N=2000 D=8000"
GRID = {"model": {"width": [8, 16, 24], "depth": 1}, "tokens": [2560, 10240]}

# Command -> the same question in Python.
OF_A_STUDY: dict[tuple[str, ...], Callable[[Study], Answer]] = {
    ("fit", "resamples=20", "exclude=[D < 6000]"): lambda s: facts_of_fit(
        s.fit(resamples=20, exclude=["D < 6000"])
    ),
    ("fit", "law=lr_annealing", "resamples=0"): lambda s: facts_of_fit(
        s.fit(law="lr_annealing", resamples=0)
    ),
    ("report", "resamples=20", "multiverse=false"): lambda s: facts_of_answer(
        s.answer(resamples=20, multiverse=False)  # type: ignore[arg-type]
    ),
    ("allocate", "resamples=20", "n_count=n_total"): lambda s: AllocateResult(
        s.allocate(resamples=20, n_count="n_total")
    ).as_json(),
    ("multiverse", "target=N at C=1e9"): lambda s: facts_of_multiverse(
        s.multiverse(target="N at C=1e9")
    ),
    ("compare-laws", "laws=[chinchilla,kaplan_nd]", "by=N"): lambda s: CompareLawsResult(
        s.compare_laws(laws=["chinchilla", "kaplan_nd"], by="N")
    ).as_json(),
    ("compare", "arm=schedule.kind", "between=[wsd,cosine]", "resamples=20"): lambda s: (
        CompareResult(
            s.compare(arm="schedule.kind", between=("wsd", "cosine"), resamples=20)
        ).as_json()
    ),
    (
        "judge",
        *("arm=schedule.kind", "baseline=wsd", "candidate=cosine", "at=1e9", "tuning=elsewhere"),
    ): lambda s: JudgeResult(
        s.judge(arm="schedule.kind", baseline="wsd", candidate="cosine", at=1e9, tuning="elsewhere")
    ).as_json(),
    ("schedule", "steps=40", "resamples=0", "refits=false"): lambda s: ScheduleResult(
        s.schedule(steps=40, resamples=0, refits=False), 40, None
    ).as_json(),
    ("forecast", "keep=false"): lambda s: ForecastResult(s.forecast(keep=False)).as_json(),
    ("track",): lambda s: TrackResult(s.track()).as_json(),
    (
        "next",
        f"target={OPEN}",
        "law=overtrained",
        "resamples=50",
        "runs=2",
        *("grid.model.width=[8,16,24]", "grid.model.depth=1", "grid.tokens=[2560,10240]"),
    ): lambda s: NextResult(
        s.next(target=OPEN, law="overtrained", resamples=50, runs=2, grid=GRID)
    ).as_json(),
}
OF_A_FILE: dict[tuple[str, ...], Callable[[Table], Answer]] = {
    ("fit", "columns.N=params", "resamples=20"): lambda t: facts_of_fit(
        t.fit(columns={"N": "params"}, resamples=20)
    ),
    ("allocate", "columns.N=params", "budgets=1e20", "resamples=20"): lambda t: AllocateResult(
        t.allocate(columns={"N": "params"}, budgets=np.array([1e20]), resamples=20)
    ).as_json(),
    ("multiverse", "n_columns=[params]", "target=alpha"): lambda t: facts_of_multiverse(
        t.multiverse(n_columns=["params"], target="alpha")
    ),
    ("compare", "columns.N=params", "arm=recipe", "resamples=20"): lambda t: CompareResult(
        t.compare(columns={"N": "params"}, arm="recipe", resamples=20)
    ).as_json(),
}


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """A table of two recipes."""
    N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e7, 1e9, 4), np.geomspace(1e9, 1e11, 4)))
    tables = [
        pd.DataFrame({"params": N, "D": D, "recipe": recipe}).assign(
            loss=(1.7 + 400 / N**0.34 + 1800 / D**0.37) * factor
        )
        for recipe, factor in (("old", 1.0), ("new", 0.99))
    ]
    path = tmp_path / "points.csv"
    pd.concat(tables).to_csv(path, index=False)
    return path


def without(answer: Any, *names: str) -> Any:
    """An answer as JSON without what belongs to the command: the files that it wrote."""
    return {key: value for key, value in plain(answer).items() if key not in names}


FILES = ("saved", "report", "written")


@pytest.mark.parametrize("command", OF_A_STUDY, ids=" ".join)
def test_a_study_answers_as_the_command_does(run, finished, tmp_path, command) -> None:
    verb, *options = command
    page = [f"to={tmp_path}/report.html"] if verb == "report" else []
    code, out, error = run(verb, "study=tiny", *options, *page, "--json")
    assert code == 0, error
    study = Study.open("tiny", outputs=finished)
    assert without(OF_A_STUDY[command](study), *FILES) == without(json.loads(out), *FILES)


@pytest.mark.parametrize("command", OF_A_FILE, ids=" ".join)
def test_a_file_answers_as_the_command_does(run, points, command) -> None:
    verb, *options = command
    code, out, error = run(verb, f"data={points}", *options, "--json")
    assert code == 0, error
    assert without(OF_A_FILE[command](Table(str(points))), *FILES) == without(
        json.loads(out), *FILES
    )


def test_a_sweep_and_a_table_of_critical_batches(run, tmp_path) -> None:
    loss = np.linspace(2.2, 4.5, 10)
    table = pd.DataFrame({"loss": loss, "critical_batch": 2.1e8 / loss ** (1 / 0.21)})
    table.to_csv(tmp_path / "critical.csv", index=False)
    N, D, lr, batch = (
        g.ravel()
        for g in np.meshgrid(
            [1e8, 1e9], [3e9, 1e11], 2.0 ** np.arange(-12, -7), [65536, 262144, 2**20]
        )
    )
    away = np.log(lr * N**0.7 / D**0.3 / 1.8) ** 2 + np.log(batch / D**0.57 / 0.6) ** 2
    sweep = pd.DataFrame({"N": N, "D": D, "lr": lr, "batch": batch, "loss": 2.5 + 0.01 * away})
    sweep.to_csv(tmp_path / "sweep.csv", index=False)
    out = run("tune", f"data={tmp_path}/critical.csv", "losses=[2.5]", "resamples=0", "--json")[1]
    found = Table(f"{tmp_path}/critical.csv").tune(losses=[2.5], resamples=0)
    assert plain(CriticalBatchResult(found).as_json()) == json.loads(out)  # type: ignore[arg-type]
    asked = ("N=1e9", "D=1e11", "resamples=0", "within=0.05")
    out = run("tune", f"data={tmp_path}/sweep.csv", *asked, "--json")[1]
    found = Table(f"{tmp_path}/sweep.csv").tune(N=1e9, D=1e11, resamples=0, within=0.05)
    assert plain(Recommendation(found).as_json()) == json.loads(out)  # type: ignore[arg-type]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Finished models with two tasks, under names of their own."""
    N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e8, 3e9, 4), np.geomspace(2e9, 6e11, 4)))
    table = pd.DataFrame({"params": N, "D": D})
    for task, rate in (("arc", 5), ("piqa", 3)):
        table[f"{task} bpb"] = 0.4 + 40 / N**0.25 + 90 / D**0.25
        table[f"{task} acc"] = 0.25 + 0.7 / (1 + np.exp(rate * (table[f"{task} bpb"] - 0.9)))
    path = tmp_path / "models.csv"
    table.to_csv(path, index=False)
    return path


def test_tasks_of_planned_models_are_forecast_in_one_call(run, models) -> None:
    columns = ("columns.N=params", "task_loss={task} bpb", "accuracy={task} acc")
    asked = ("tasks=[arc,piqa]", "N=[7e9]", "D=[4e12]", *columns, "resamples=30", "--json")
    code, out, error = run("forecast", f"data={models}", *asked)
    assert code == 0, error
    told = {row["task"]: row for row in json.loads(out)["forecasts"]}
    for task, rate in (("arc", 5), ("piqa", 3)):
        loss = 0.4 + 40 / 7e9**0.25 + 90 / 4e12**0.25
        truth = 0.25 + 0.7 / (1 + np.exp(rate * (loss - 0.9)))
        assert told[task]["accuracy"] == pytest.approx(truth, abs=0.01)
        assert told[task]["lower"] <= told[task]["accuracy"] <= told[task]["upper"]
    found = Table(str(models)).forecast_tasks(
        tasks=["arc", "piqa"],
        N=7e9,
        D=4e12,
        columns={"N": "params"},
        task_loss="{task} bpb",
        accuracy="{task} acc",
        resamples=30,
    )
    assert plain(TaskResult(found).as_json()) == json.loads(out)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("N=[1e9]", "D=[1e9]"), "tasks is not set"),
        (("tasks=[arc]", "N=[1e9]"), "give one D for each N"),
        (("tasks=[arc,piqa]", "N=1e9", "D=1e9", "accuracy=arc acc"), "is one column of 2 tasks"),
        (("tasks=[arc]", "N=1e9", "D=1e9", "task_loss={task} bpb"), "no column 'arc_accuracy'"),
    ],
)
def test_a_forecast_of_tasks_says_what_is_missing(run, models, asked, said) -> None:
    code, _, error = run("forecast", f"data={models}", "columns.N=params", *asked)
    assert code == 2 and said in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("verb", "asked"),
    [
        ("fit", {"resamples": -1}),
        ("fit", {"law": "chinchila"}),
        ("fit", {"resample": 3}),
        ("fit", {"unit": "bits"}),
        ("allocate", {"sizes": [1e9]}),
        ("allocate", {"budget": "sweep"}),
        ("multiverse", {}),
        ("multiverse", {"target": "alpha", "n_columns": ["n"]}),
        ("compare-laws", {"laws": ["auto", "chinchilla"]}),
        ("compare-laws", {"by": "width"}),
        ("compare", {}),
        ("judge", {"at": 1e9}),
        ("forecast", {"margin": 0.1}),
        ("tune", {"N": [1e9]}),
        ("schedule", {"steps": 0}),
        ("next", {"target": "los at C=1e9"}),
        ("next", {"target": "alpha", "hours": -1}),
    ],
)
def test_both_refuse_in_the_same_sentence(run, finished, verb, asked) -> None:
    arguments = [f"{key}={json.dumps(value)}".replace('"', "") for key, value in asked.items()]
    code, _, error = run(verb, "study=tiny", *arguments)
    with pytest.raises(ValueError) as refused:
        getattr(Study.open("tiny", outputs=finished), verb.replace("-", "_"))(**asked)
    said = str(refused.value)
    assert code == 2
    # The command has further keys of its own.
    assert error.removeprefix("error: ").startswith(said.partition(" Allowed here")[0])


def test_a_method_says_its_keywords() -> None:
    for kind in (StudyAnswers, FileAnswers):
        for name in ("fit", "allocate", "multiverse", "compare_laws", "compare", "judge"):
            method = getattr(kind, name)
            keywords = [k for k in inspect.signature(method).parameters if k != "self"]
            assert keywords and all(f"\n{key}\n    " in method.__doc__ for key in keywords)
    assert inspect.signature(Study.schedule).parameters["resamples"].default == 200


def test_two_studies_are_compared(run, finished) -> None:
    code, _, error = run("compare", "studies=[tiny,tyni]")
    with pytest.raises(ValueError) as refused:
        Study.open("tiny", outputs=finished).compare_with("tyni")
    assert code == 2 and str(refused.value).partition(" in ")[0] in error


OF_THE_STUDY = 0.0123


@pytest.fixture
def noisy(finished, tmp_path, monkeypatch) -> Study:
    """A study that says the threshold of its fits."""
    monkeypatch.chdir(finished.parent)
    outputs = tmp_path / "outputs"
    shutil.copytree(finished, outputs)
    path = outputs / "studies" / "tiny" / "plan.json"
    plan = json.loads(path.read_text())
    plan.pop("checksum", None)
    plan["study"]["answer"]["delta"] = OF_THE_STUDY
    path.write_text(json.dumps(plan))
    return Study.open("tiny", outputs=outputs)


FITTED = [
    c
    for c in OF_A_STUDY
    if c[0] in ("fit", "compare-laws", "report", "allocate", "schedule", "next")
]


@pytest.mark.parametrize("command", [*FITTED, ("multiverse", "target=N at C=1e9")], ids=" ".join)
def test_every_fit_of_a_study_has_its_threshold(noisy, monkeypatch, command) -> None:
    seen = []

    def first_threshold(delta: float | str | None) -> float:
        seen.append(delta)
        return threshold.first_threshold(delta)

    monkeypatch.setattr(best_fit, "first_threshold", first_threshold)
    OF_A_STUDY[command](noisy)
    assert OF_THE_STUDY in seen
    assert command[0] == "multiverse" or set(seen) == {OF_THE_STUDY}


def test_a_comparison_has_the_threshold_of_its_study(noisy, monkeypatch) -> None:
    seen = []
    compare_arms = analysis.compare_arms
    for module in (analysis, outlook):
        monkeypatch.setattr(
            module,
            "compare_arms",
            lambda *given, delta, **more: seen.append(delta) or compare_arms(*given, **more),
        )
    noisy.compare(arm="schedule.kind", between=("wsd", "cosine"))
    noisy.compare(arm="schedule.kind", between=("wsd", "cosine"), delta="published")
    noisy.answer(resamples=0, multiverse=False, arm="schedule.kind", between=("wsd", "cosine"))
    assert seen == [OF_THE_STUDY, "published", OF_THE_STUDY]


def test_studies_of_different_thresholds_need_one(noisy) -> None:
    plan = noisy.outputs / "studies" / "tiny" / "plan.json"
    other = noisy.outputs / "studies" / "other"
    other.mkdir()
    text = plan.read_text().replace(str(OF_THE_STUDY), '"scaled"')
    (other / "plan.json").write_text(text.replace('"tiny"', '"other"'))
    with pytest.raises(ValueError, match="answer.delta differs.*tiny 0.0123, other scaled"):
        noisy.compare_with("other")
