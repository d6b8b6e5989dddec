"""How we start another Python: it runs the code that we mean, whatever lies in the current folder.

``python -m`` looks into the current folder first, where a ``scaling/`` or ``sweeps/`` of somebody
else may lie: each of our processes is started with ``-P``, and with the folder of our code as the
first word of PYTHONPATH. A program of the user must not see that folder, which may be the
site-packages of another Python than the program's: the PYTHONPATH that was given to us is kept in
a variable of its own, through any number of our processes, and handed on to programs.
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

GIVEN = "SCALING_GIVEN_PYTHONPATH"  # the PYTHONPATH of whoever started the first of our processes
SAFE = "-P"  # Python's option: modules are not looked for in the current folder
OF_SLURM = ("SLURM_", "SRUN_", "PMI_", "PMIX_")


def python_command(module: str, *arguments: object) -> list[str]:
    """The words that run a module of ours with this Python; what it prints shows at once."""
    return [sys.executable, SAFE, "-u", "-m", module, *map(str, arguments)]


def child_environment(code: Path | None = None) -> dict[str, str]:
    """The environment of a process that runs our code.

    Parameters
    ----------
    code : Path, optional
        The folder that holds its packages, a frozen copy; None: those of this process.
    """
    code_path = None if code is None else str(code)
    if code is None and str(machine.code_folder()) not in _installed():
        code_path = str(
            machine.code_folder()
        )  # a checkout, or a frozen copy; else every Python of ours finds it anyway
    person_path = _given()
    path = os.pathsep.join(filter(None, (code_path, person_path)))
    # A frozen copy has its own extensions; a process that runs code as it stands is told of ours.
    environment = {k: v for k, v in os.environ.items() if k != INHERITED}
    return (
        environment
        | {"PYTHONPATH": path, GIVEN: person_path}
        | (inherited() if code is None else {})
    )


def user_environment() -> dict[str, str]:
    """The environment of a program of the user: PYTHONPATH is what it was before we came."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", GIVEN, INHERITED)}
    person_path = _given()
    return environment | ({"PYTHONPATH": person_path} if person_path else {})


def without_slurm(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that is no task of the SLURM job in which we are.

    Libraries (Lightning, MPI) would take the variables of the job for their own.
    """
    return {k: v for k, v in environment.items() if not k.startswith(OF_SLURM)}


def shell_lines(code: Path, setup: Sequence[str]) -> list[str]:
    """Lines of shell that do what `child_environment` does, with the user's `setup` before it.

    A ``module load`` of the user may put other folders first in PYTHONPATH, or replace it.
    """
    return [
        f'[ -z "${{{GIVEN}+x}}" ] || export PYTHONPATH="${GIVEN}"',
        *setup,
        f'export {GIVEN}="${{PYTHONPATH-}}"',
        f'export PYTHONPATH={shlex.quote(str(code))}"${{{GIVEN}:+:${GIVEN}}}"',
    ]


def _given() -> str:
    return os.environ.get(GIVEN, os.environ.get("PYTHONPATH", ""))


def _installed() -> set[str]:
    """Folders that this Python looks into by itself."""
    return {*site.getsitepackages(), site.getusersitepackages()}
