"""Packages that the base install lacks, and the extra that installs each.

The base install fits and answers. What trains, submits to SLURM or mirrors to wandb imports these
packages, each in one place and within `needs_extra`, so that on a machine without them the command
line and a notebook say what to install.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from scalinglab.scaling.errors import UserError

PROJECT = "scaling-laboratory"
# Module -> (package, extra of pyproject.toml).
EXTRAS = {
    "torch": ("torch", "train"),
    "lightning": ("lightning", "train"),
    "hydra": ("hydra-core", "train"),
    "omegaconf": ("omegaconf", "train"),
    "submitit": ("submitit", "slurm"),
    "wandb": ("wandb", "wandb"),
    "filelock": ("filelock", "wandb"),
    "wandb_workspaces": ("wandb-workspaces", "workspace"),
    "transformers": ("transformers", "hf"),
    "accelerate": ("accelerate", "hf"),
    "safetensors": ("safetensors", "hf"),
    "datasets": ("datasets", "hf"),
    "tokenizers": ("tokenizers", "data"),
    "sentencepiece": ("sentencepiece", "data"),
}


def missing_package(error: ModuleNotFoundError) -> str | None:
    """The package that an import lacked and the command that installs it.

    Returns
    -------
    str or None
        None if no extra installs the module, or if it is installed and lacks something itself.
    """
    module = (error.name or "").partition(".")[0]
    if module not in EXTRAS or find_spec(module) is not None:
        return None
    package, extra = EXTRAS[module]
    return f"{package}: {install_command(extra)}"


class MissingPackage(UserError, ModuleNotFoundError):
    """A package of an extra is not installed: its name, and the command that installs it."""


@contextmanager
def needs_extra(activity: str) -> Iterator[None]:
    """Imports of packages of an extra; if they lack, `MissingPackage` says what to install.

    Parameters
    ----------
    activity : str
        What needs the packages, for the sentence.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = missing_package(error)
        if package is None:
            raise
        refused = MissingPackage(f"{activity} needs {package}")
        refused.name = error.name  # the command line names the verb that needed it
        raise refused from error


def install_command(extra: str) -> str:
    """The command that adds an extra to an environment."""
    return f"pip install '{PROJECT}[{extra}]'"
