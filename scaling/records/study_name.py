"""Which names a study can have: its folder is called so, and commands contain it."""

from __future__ import annotations

import re

from scalinglab.scaling.errors import ConfigError

_STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_study_name(name: str) -> bool:
    """Whether a name can be that of a study, and so of its folder."""
    return _STUDY_NAME.fullmatch(name) is not None


def check_study_name(path: str, name: str) -> None:
    """Raise `ConfigError` unless a study's name can be a folder's and stand in any command."""
    if not is_study_name(name):
        raise ConfigError(
            f"{path} = {name!r} names a folder: a study's name has letters, digits,"
            " '.', '_' and '-', and begins with a letter or digit"
        )
