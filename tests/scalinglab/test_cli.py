"""The command line as a person uses it: what it prints, where it stops, what it returns."""

from __future__ import annotations

import dataclasses
import errno
import json
import subprocess
import sys
from importlib import metadata

import numpy as np
import pandas as pd
import pytest
import torch

from scalinglab import analysis
from scalinglab.cli import VERBS, find_verb
from scalinglab.scaling.errors import UserError


def test_help_names_every_verb(run) -> None:
    code, out, _ = run("--help")
    assert code == 0 and all(f"\n  {verb} " in out for verb in VERBS)
    assert run()[1] == run("help")[1] == out
    for verb in VERBS:
        code, out, _ = run(verb, "--help")
        assert code == 0 and f"scaling {verb}" in out
        assert run(verb, "study=tiny", "-h")[1] == out


def test_the_version_is_that_of_the_installed_package(run) -> None:
    code, out, _ = run("--version")
    assert code == 0 and out == f"scaling-laboratory {metadata.version('scaling-laboratory')}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_help_says_what_each_option_is_on_a_narrow_terminal(run, verb, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = run(verb, "--help")[1].splitlines()
    assert max(map(len, lines[1:])) <= 60  # below the usage, which can be copied
    options = find_verb(verb).options
    assert all(f.metadata["says"] for f in dataclasses.fields(options))
    named = {line.split("=")[0].split(".")[0].strip() for line in lines if line[:2] == "  "}
    fields = {f if f != "overrides" else "KEY" for f in options.__dataclass_fields__}
    assert fields <= named


def test_verbs_that_look_after_a_launched_study_start_without_laws() -> None:
    verbs = [f"scalinglab.verbs.{name}" for name in ("status", "logs", "cancel", "collect")]
    code = f"import sys, {', '.join(verbs)}; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "scalinglab.launched_study" in modules
    assert not {"scipy", "scalinglab.analysis.laws", "scalinglab.prepare"} & set(modules)


def test_a_reader_that_goes_away_is_no_error(finished) -> None:
    scaling = [sys.executable, "-m", "scalinglab.cli"]
    for arguments in (["--help"], ["status", f"outputs={finished}"]):
        with subprocess.Popen(
            [*scaling, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            process.stdout.close()
            assert process.stderr.read() == "" and process.wait() in (1, 141)  # 1: rich's


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plann"], "unknown verb 'plann'; did you mean 'plan'?"),
        (["plan"], "no study is named, or its file defines none; say study=quickstart"),
        (
            ["plan", "study=tyni"],
            "study = 'tyni': there is no conf/study/tyni.yaml or scaling_conf/study/tyni.yaml. There are: ",
        ),
        (["plan", "study=tiny", "model.widht=3"], "unknown key 'model.widht'"),
        (["plan", "study=tiny", "tokens=-3"], "tokens=-3 changes nothing: every block's grid sets"),
        (["plan", "study=tiny", "study.name=../evil"], "study.name = '../evil' names a folder"),
        (["plan", "study=tiny", "study.answer.law=chinchila"], "study.answer.law = 'chinchila'"),
        (["plan", "study=tiny", "study.answer.kind=tune"], "+study.answer.kind=... adds it"),
        (["plan", "stduy=tiny"], "unknown key 'stduy'; did you mean 'study'?"),
        (["train", "study=tiny"], "scaling train trains one run"),
        (["train", "model.width=1e9"], "the machine has"),
        (["train", "outputs=/proc/nowhere"], "/proc/nowhere"),
        (["fit", "data=/proc/self/net"], "holds no"),
        (["launch", "study=tiny", "launch.backend=slurrm"], "launch.backend = 'slurrm' is not one"),
        (["launch", "study=tiny", "launch.workers=two"], "launch.workers = 'two': expected"),
        (["train", "model.width=17"], "model.width = 17 is not divisible by model.head_dim = 16"),
        (["train", "tokens=1e11"], "data.max_epochs = 1 allows"),
        (["train", "schedule.warmup_tokens=1e9"], "schedule.warmup_tokens = 1000000000 is"),
        (["train", "optimizer.lr=${oc.env:HOME}"], "calls the resolver 'oc.env'"),
        (["train", "+model.size=3"], "unknown key 'model.size'"),
        (["status", "study=nope"], "there is no study 'nope'"),
        (["status", "stduy=tiny"], "unknown key 'stduy'; did you mean 'study'?"),
        (["status", "tiny"], "cannot read 'tiny': expected key=value, as in study=tiny"),
        (["plan", "tiny"], "cannot read the override 'tiny': expected key=value, as in study=tiny"),
        (["fit"], "name what is fitted: either data=FILE or study=NAME"),
        (["fit", "data=nowhere.csv"], "there is no such file"),
        (["fit", "study=tiny", "law=chinchila"], "chinchilla"),
        (["allocate", "data=runs.csv"], "budgets is not set"),
        (["report", "study=nope"], "there is no study 'nope'"),
        (["report"], "study is not set; usage: scaling report study=NAME"),
        (["next", "study=tiny"], "target is not set; usage: scaling next study=NAME|data=FILE"),
        (["report", "stduy=tiny"], "unknown key 'stduy'; did you mean 'study'?"),
        (["report", "study=nope"], "scaling launch study=nope trains it"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr(run, arguments, message) -> None:
    code, _, error = run(*arguments)
    assert code == 2
    assert message in error and error.startswith("error: ") and "Traceback" not in error


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (UserError("key = 3: allowed is 1"), 2, "error: key = 3: allowed is 1"),
        (PermissionError(13, "Permission denied", "runs"), 2, "error: runs: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: No space left on device"),
        (ValueError("operands could not be broadcast"), 1, "This is a defect of"),
        (OSError(errno.EBADF, "Bad file descriptor"), 1, "This is a defect of"),
        (ModuleNotFoundError("No module named 'ours'", name="ours"), 1, "This is a defect of"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_mistake_is_told_from_a_defect(run, monkeypatch, error, code, shown) -> None:
    """What a user can mend is one sentence; all else shows where it happened."""

    def fails(options: object, screen: object) -> None:
        raise error

    monkeypatch.setattr(
        "scalinglab.cli.find_verb", lambda name: dataclasses.replace(find_verb(name), run=fails)
    )
    ended, out, said = run("doctor")
    assert ended == code and not out and shown in " ".join(said.split())
    assert ("Traceback" in said and "fails" in said) == (code == 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
@pytest.mark.parametrize(
    "arguments", [["train", "tokens=3e5"], ["plan", "study=tiny", "optimizer.beta2=0.5"]]
)
def test_a_device_that_is_not_there_is_named(run, tmp_path, arguments) -> None:
    code, _, error = run(*arguments, "execution.device=cuda", f"outputs={tmp_path}")
    assert code == 2 and "no CUDA device" in error and "allowed is cpu" in error
    assert not list(tmp_path.glob("runs/*/attempts/*"))


def test_plan_draws_each_schedule_once(run, finished) -> None:
    code, out, _ = run("plan", "study=tiny", "--schedules")
    lines = [line for line in out.splitlines() if "█" in line]
    assert code == 0 and "S1" in out and "S2 with lambda = 0.999" in out
    assert sum(line.startswith("cosine") for line in lines) == 1
    assert (finished / "studies/tiny/schedules.png").read_bytes()[1:4] == b"PNG"


def test_plan_shows_what_is_done_and_trains_nothing(run) -> None:
    code, out, _ = run("plan", "study=tiny")
    assert code == 0
    assert "14 runs (13 done, 1 diverged): nothing is left to train" in out
    assert "! 3 fitted sizes" in out


def test_launch_of_a_finished_study_trains_nothing(run, finished) -> None:
    before = sorted(finished.glob("runs/*/attempts/*"))
    code, out, _ = run("launch", "study=tiny")
    assert code == 0 and "tiny: 13 done, 1 diverged" in out
    assert sorted(finished.glob("runs/*/attempts/*")) == before


def test_status_of_all_studies(run, tmp_path) -> None:
    code, out, _ = run("status")
    assert code == 0 and "tiny: 13 done, 1 diverged" in out
    code, _, error = run("status", f"outputs={tmp_path}")
    assert code == 2 and "there is no study in" in error


def test_train_one_run_twice(run, tiny_overrides, tmp_path) -> None:
    arguments = [
        "train",
        *tiny_overrides,
        "schedule.warmup_tokens=256",
        f"outputs={tmp_path}",
    ]
    code, first, _ = run(*arguments)
    assert code == 0 and "validation loss" in first
    code, again, _ = run(*arguments)
    assert code == 0 and again.splitlines()[-1] == first.splitlines()[-1]
    assert len(list(tmp_path.glob("runs/*/attempts/*.json"))) == 1


def test_a_diverged_run_is_a_result(run, tiny_overrides, tmp_path) -> None:
    code, out, _ = run(
        "train",
        *tiny_overrides,
        "schedule.warmup_tokens=256",
        "optimizer.lr=1e30",
        f"outputs={tmp_path}",
    )
    assert code == 0 and "diverged after" in out


def test_fit_a_study_and_save(run, tmp_path) -> None:
    code, out, _ = run("fit", "study=tiny", "resamples=20", f"save={tmp_path}/fit.json")
    assert code == 0 and "[[chinchilla" in out
    saved = analysis.read_fit(tmp_path / "fit.json")
    assert saved.params.keys() == {"E", "A", "alpha", "B", "beta"}
    assert json.loads((tmp_path / "fit.json").read_text())


def test_fit_a_file_made_elsewhere(run, tmp_path) -> None:
    n, d = (g.ravel() for g in np.meshgrid([1e7, 1e8, 1e9, 1e10], [1e9, 1e10, 1e11]))
    table = pd.DataFrame({"params": n, "tokens": d, "val": 1.7 + 400 / n**0.34 + 1800 / d**0.37})
    table.to_csv(tmp_path / "points.csv", index=False)
    columns = ["columns.N=params", "columns.D=tokens", "columns.loss=val"]
    code, out, _ = run("fit", "law=chinchilla", f"data={tmp_path}/points.csv", *columns)
    assert code == 0 and "0.34" in out
    code, out, _ = run(
        "allocate", f"data={tmp_path}/points.csv", *columns, "budgets=[1e21]", "resamples=20"
    )
    assert code == 0 and "10²¹" in out and "e+" not in out


def test_fit_the_curve_law_of_a_study(run) -> None:
    code, out, _ = run("fit", "study=tiny", "law=lr_annealing", "resamples=0")
    assert code == 0 and "[[lr_annealing" in out


@pytest.mark.usefixtures("early_fits", "undrawn_figures")
def test_a_report_without_resamples_says_so(run, tmp_path) -> None:
    code, out, error = run(
        "report", "study=tiny", "resamples=0", "multiverse=false", f"to={tmp_path}/report.html"
    )
    assert code == 0 and "intervals  none (resamples=0)" in out and "nan" not in out, error


def test_an_imported_study_is_shown_and_not_watched(run, tmp_path) -> None:
    pd.DataFrame({"N": [1e6, 2e6], "D": [1e8, 2e8], "loss": [3.0, 2.9]}).to_csv(
        tmp_path / "points.csv", index=False
    )
    there = f"outputs={tmp_path}/out"
    code, out, _ = run("import", f"{tmp_path}/points.csv", "to=brought", there)
    assert code == 0 and out.startswith("2 of 2 runs can be fitted")
    assert "brought: imported; scaling report study=brought" in run("status", there)[1]
    code, _, error = run("logs", "study=brought", there)
    assert code == 2 and "study 'brought' was imported: there is nothing to train" in error


def test_logs_of_a_study_without_failures(run) -> None:
    code, out, _ = run("logs", "study=tiny")
    assert code == 0 and out.startswith("no run of tiny has failed")


@pytest.mark.usefixtures("early_fits")
def test_report_prints_the_answer_and_writes_the_page(run, tmp_path) -> None:
    asked = ("report", "study=tiny", "resamples=20", "multiverse=false")
    code, out, _ = run(*asked, f"to={tmp_path}/report.html")
    assert code == 0 and "Held-out runs, not fitted (errors: " in out
    assert (tmp_path / "report.html").stat().st_size > 10_000


def test_data_lists_sources_and_stores(run) -> None:
    code, out, _ = run(
        "data",
        "data=markov",
        "data.options.vocab=8",
        "data.options.successors=4",
        "data.options.tokens=20001",
        "data.options.validation_tokens=1025",
    )
    assert code == 0 and "markov-" in out and "stdlib:" in out
