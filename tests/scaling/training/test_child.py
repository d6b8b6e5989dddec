"""Our processes run our code from any folder, and programs of the user never see where it lies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalinglab.scaling.training import child
from scalinglab.scaling.training.child import (
    GIVEN,
    OURS,
    child_environment,
    python_command,
    shell_lines,
    user_environment,
    without_slurm,
)

ROOT = Path(__file__).parents[3]
PATHS = 'import os; print(os.environ.get("PYTHONPATH"), os.environ.get("SCALING_GIVEN_PYTHONPATH"))'


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder holds packages that are named as ours, and as a library."""
    for name in ("scalinglab", "scaling", "analysis", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('of the current folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(GIVEN, raising=False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return tmp_path


def shown(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        stdin=subprocess.DEVNULL,
    ).stdout.strip()


def test_a_child_runs_our_code_whatever_the_current_folder_holds(hostile) -> None:
    answer = subprocess.run(
        python_command("scalinglab.cli", "--help"),
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0 and "usage: scaling" in answer.stdout


def test_frozen_code_comes_first(hostile, monkeypatch) -> None:
    """Before the checkout from which the launcher runs, and before what the user added."""
    frozen = hostile / "frozen"
    (frozen / "scalinglab").mkdir(parents=True)
    (frozen / "scalinglab" / "__init__.py").write_text("print('frozen')")
    (frozen / "scalinglab" / "worker.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert shown(python_command("scalinglab.worker"), child_environment(frozen)) == "frozen"


def test_a_program_has_the_path_that_was_given_to_the_first_of_us(hostile, monkeypatch) -> None:
    """Through a launcher in the background and a worker, each with a folder of its own code."""
    for given in ("", "/of/the/user:/and/another"):
        monkeypatch.setenv("PYTHONPATH", given)
        monkeypatch.delenv(GIVEN, raising=False)
        for code in (Path("/launcher"), Path("/worker")):
            environment = child_environment(code)
            assert environment["PYTHONPATH"] == ":".join(filter(None, (str(code), given)))
            for name in ("PYTHONPATH", GIVEN, OURS):
                monkeypatch.setenv(name, environment[name])
        assert user_environment().get("PYTHONPATH", "") == given
        assert not {GIVEN, OURS} & {*user_environment()}


def test_an_installed_package_needs_no_path_of_its_own(monkeypatch) -> None:
    """Site-packages before the standard library would let a backport hide a module of it."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv(GIVEN, raising=False)
    monkeypatch.setattr(child.machine, "code_folder", lambda: Path("/site"))
    assert child_environment()["PYTHONPATH"] == "/site"
    monkeypatch.setattr(child.site, "getsitepackages", lambda: ["/site"])
    assert child_environment()["PYTHONPATH"] == ""


def test_a_job_has_the_same_paths_and_the_users_setup_before_them(hostile, monkeypatch) -> None:
    code = hostile / "two words's $(touch x)"
    lines = shell_lines(code, ['export PYTHONPATH="/module${PYTHONPATH-}"'])
    python = f"'{sys.executable}' -c '{PATHS}'"
    for before in ({}, {"PYTHONPATH": ":/user"}, {"PYTHONPATH": "/l::/user", GIVEN: ":/user"}):
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", GIVEN)}
        out = shown(["bash", "-euc", "\n".join([*lines, python])], environment | before)
        given = "/module" + (":/user" if before else "")
        assert out == f"{code}:{given} {given}"
    assert not (hostile / "x").exists()


def test_a_process_of_ours_is_no_task_of_the_job_in_which_it_runs() -> None:
    job = {"SLURM_JOB_ID": "7", "SRUN_DEBUG": "3", "PMI_RANK": "0", "PMIX_RANK": "0"}
    assert without_slurm(job | {"KEPT": "1"}) == {"KEPT": "1"}
