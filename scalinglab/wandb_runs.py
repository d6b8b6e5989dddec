"""Runs on wandb, to be read: the one place that asks its API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from scalinglab.scaling.config import ConfigError


def wandb_runs(
    path: str, *, sweep: str | None = None, tags: Sequence[str] = (), state: Sequence[str] = ()
) -> Iterable[Any]:
    """Runs of a project, ``entity/project``; those of a sweep, with a tag, in a state.

    Raises
    ------
    ConfigError
        If wandb cannot be reached, does not know this machine, or has no such project.
    """
    import wandb

    try:
        return list(wandb.Api(timeout=30).runs(path, filters=filters(sweep, tags, state)))
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise ConfigError(f"wandb:{path}: {str(error).splitlines()[0]}") from None


def filters(sweep: str | None, tags: Sequence[str], state: Sequence[str]) -> dict[str, Any]:
    """What is asked of wandb's API, in its language; empty for all runs."""
    asked: dict[str, Any] = {}
    if sweep:
        asked["sweep"] = sweep
    if tags:
        asked["tags"] = {"$in": list(tags)}
    if state:
        asked["state"] = {"$in": list(state)}
    return asked
