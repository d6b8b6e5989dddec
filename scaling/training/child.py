"""Starting further Python processes that run this code, whatever is in the current folder.

``python -m`` looks into the current folder first, which may contain another ``scaling/`` or
``sweeps/``: each process of this package is started with ``-P``, and with the folder of its code as
the first entry of PYTHONPATH. A program of the user must not see that folder, which may be the
site-packages of another Python: the user's PYTHONPATH is kept in a separate variable, through any
number of processes, and handed on to programs.
"""

from __future__ import annotations

import os
import shlex
import site
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scalinglab.scaling.extensions.handing_on import INHERITED, inherited
from scalinglab.scaling.records import machine

GIVEN = "SCALING_GIVEN_PYTHONPATH"  # the PYTHONPATH of the user
OURS = "SCALING_PROCESS_OF_OURS"  # set where nobody but this package imports Lightning
SAFE = "-P"  # Python's option: no modules from the current folder
OF_SLURM = ("SLURM_", "SRUN_", "PMI_", "PMIX_")


def python_command(module: str, *arguments: object) -> list[str]:
    """The command that runs a module of this package with this Python, unbuffered."""
    return [sys.executable, SAFE, "-u", "-m", module, *map(str, arguments)]


def child_environment(code: Path | None = None) -> dict[str, str]:
    """The environment of a process that runs this package.

    Parameters
    ----------
    code : Path, optional
        The folder of a frozen copy; None: the code of this process.
    """
    code_path = None if code is None else str(code)
    if code is None and str(machine.code_folder()) not in _installed():
        code_path = str(
            machine.code_folder()
        )  # a checkout or a frozen copy; an installed package is found anyway
    person_path = _given()
    path = os.pathsep.join(filter(None, (code_path, person_path)))
    # A frozen copy has its own extensions; other processes inherit those of this one.
    environment = {k: v for k, v in os.environ.items() if k != INHERITED}
    return (
        environment
        | {"PYTHONPATH": path, GIVEN: person_path, OURS: "1"}
        | (inherited() if code is None else {})
    )


def user_environment() -> dict[str, str]:
    """The environment of a program of the user, with the user's PYTHONPATH."""
    not_for_users = ("PYTHONPATH", GIVEN, INHERITED, OURS)
    environment = {k: v for k, v in os.environ.items() if k not in not_for_users}
    person_path = _given()
    return environment | ({"PYTHONPATH": person_path} if person_path else {})


def without_slurm(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that must not see the SLURM job of this one.

    Libraries (Lightning, MPI) would read the job's variables as theirs.
    """
    return {k: v for k, v in environment.items() if not k.startswith(OF_SLURM)}


def shell_lines(code: Path, setup: Sequence[str]) -> list[str]:
    """Lines of a shell script with the user's `setup`, and then `child_environment`.

    A ``module load`` of the user may prepend folders to PYTHONPATH, or replace it.
    """
    return [
        f'[ -z "${{{GIVEN}+x}}" ] || export PYTHONPATH="${GIVEN}"',
        *setup,
        f'export {GIVEN}="${{PYTHONPATH-}}"',
        f'export PYTHONPATH={shlex.quote(str(code))}"${{{GIVEN}:+:${GIVEN}}}"',
        f"export {OURS}=1",
    ]


def _given() -> str:
    return os.environ.get(GIVEN, os.environ.get("PYTHONPATH", ""))


def _installed() -> set[str]:
    """The default folders of this Python for modules."""
    return {*site.getsitepackages(), site.getusersitepackages()}
