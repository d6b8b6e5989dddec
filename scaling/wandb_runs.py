"""Runs on wandb, to be read: the one place that asks its API."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scaling.config import ConfigError


def wandb_runs(path: str) -> Iterable[Any]:
    """Runs of a project, ``entity/project``.

    Raises
    ------
    ConfigError
        If wandb cannot be reached, does not know this machine, or has no such project.
    """
    import wandb

    try:
        return list(wandb.Api(timeout=30).runs(path))
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise ConfigError(f"wandb:{path}: {str(error).splitlines()[0]}") from None
