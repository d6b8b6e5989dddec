"""What the base install does, and what it says of the rest."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab.cli import VERBS
from scalinglab.scaling.extras import EXTRAS, PROJECT, missing_package
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.sweeps.launch import scheduler
from scalinglab.sweeps.launch.slurm import check_cluster

ROOT = Path(__file__).parents[2]

# Commands one after another in a process that has none of the packages; prints each exit code.
BASE = """
import shlex, sys
from importlib.machinery import PathFinder


class Base(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in {modules!r}:
            return super().find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Base
{before}
from scalinglab.cli import main
for line in {commands!r}:
    try:
        main(shlex.split(line))
    except SystemExit as stopped:
        print(f"<{{stopped.code}} {{line}}>")
{python}
"""
# What fits find is not asked here: they end after a few steps.
EARLY = """
from scalinglab.analysis.fitting.levenberg_marquardt import minimise
minimise.__kwdefaults__["steps"] = 30
"""
# A notebook is told what a command is told.
NOTEBOOK = """
from scalinglab import Study, train_run
from scalinglab.scaling.errors import UserError
study = Study.open("quickstart")
for method in (study.plan, study.launch, train_run):
    try:
        method()
    except UserError as error:
        print(error)
"""


def base(
    commands: list[str], folder: Path, python: str = "", before: str = ""
) -> tuple[list[str], str]:
    """The exit codes of commands without any extra, and what they and then Python code say."""
    code = BASE.format(modules=list(EXTRAS), commands=commands, python=python, before=before)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return re.findall(r"^<(\d+) ", done.stdout, re.MULTILINE), done.stderr


def test_the_table_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    stated = {
        (re.match(r"[\w-]+", line).group(), extra)
        for extra in extras
        if extra not in ("all", "eval", "test", "check", "docs")  # lm-eval is a program of its own
        for line in extras[extra]
    }
    assert set(EXTRAS.values()) == stated
    assert project["name"] == PROJECT
    assert extras["all"] == [f"{PROJECT}[train,slurm,wandb,data]"]


@pytest.mark.long
def test_what_reads_and_answers_needs_no_extra(finished, tmp_path) -> None:
    N, D = np.meshgrid([1e7, 3e7, 1e8, 3e8], [1e9, 3e9, 1e10])
    table = pd.concat(
        pd.DataFrame({"N": N.ravel(), "D": D.ravel(), "recipe": recipe}).assign(
            loss=lambda f, a=a: 1.7 + a / f.N**0.34 + 410 / f.D**0.28
        )
        for recipe, a in (("adamw", 400), ("muon", 390))
    )
    table.to_csv(tmp_path / "runs.csv", index=False)
    few = "resamples=20"
    commands = [
        "--help",
        "import runs.csv to=ours",
        "report study=ours resamples=0 multiverse=false to=ours.html",
        "compare study=ours arm=recipe resamples=0",
        f"allocate study=ours budgets=[1e19] {few}",
        "multiverse data=runs.csv 'target=N at C=1e20'",
        *(
            f"{line} outputs={finished}"
            for line in (
                "fit study=tiny resamples=0",
                "forecast study=tiny",
                "track study=tiny",
                "status study=tiny",
                "logs study=tiny",
                "collect study=tiny",
                "gc",
            )
        ),
    ]
    codes, said = base(commands, tmp_path, before=EARLY)
    assert codes == ["0"] * len(commands), said


def test_what_needs_an_extra_names_it(finished, tmp_path) -> None:
    train = ["plan", "launch", "train", "data", "coordcheck"]
    target = f"study=tiny outputs={finished} 'target=loss at C=1e10 within 1%'"
    commands = [*train, f"next {target}", f"reach {target} hours=1"]
    codes, said = base([*commands, f"sync study=tiny outputs={finished}"], tmp_path)
    assert codes == ["2"] * 8
    *trained, mirrored = said.splitlines()
    for verb, line in zip([*train, "next", "reach"], trained, strict=True):
        package = "torch" if verb == "coordcheck" else "hydra-core"
        install = "pip install 'scaling-laboratory[train]'"
        assert line == f"error: scaling {verb} needs {package}: {install}"
    assert mirrored == "error: scaling sync needs wandb: pip install 'scaling-laboratory[wandb]'"


def test_every_help_is_shown_without_an_extra(tmp_path) -> None:
    codes, said = base([f"{verb} --help" for verb in VERBS], tmp_path)
    assert codes == ["0"] * len(VERBS) and said == ""


def test_in_python_what_needs_an_extra_names_it(tmp_path) -> None:
    code = f"import contextlib\nwith contextlib.redirect_stdout(sys.stderr): exec({NOTEBOOK!r})"
    _, said = base([], tmp_path, code)
    sentence = "composing a configuration needs hydra-core: pip install 'scaling-laboratory[train]'"
    assert said.splitlines() == [sentence] * 3


def test_a_launch_on_a_cluster_is_refused_before_anything_is_stored(monkeypatch) -> None:
    monkeypatch.setattr(scheduler, "version", lambda: "24.05")
    for module in ("submitit", "submitit.core", "submitit.core.utils"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError) as error:
        check_cluster(LaunchConfig(backend="slurm"))
    assert missing_package(error.value) == "submitit: pip install 'scaling-laboratory[slurm]'"


@pytest.mark.parametrize("name", ["nothing_of_ours", "torch.no_such_part", None])
def test_any_other_missing_module_is_a_defect(name: str | None) -> None:
    assert missing_package(ModuleNotFoundError("No module", name=name)) is None
