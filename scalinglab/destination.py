"""Files written besides an answer: checked before the work; a failure does not lose the answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from scalinglab.scaling.errors import ConfigError, UserError

Unwritten = OSError | UserError  # why there is no file


def check_destination(key: str, to: str | Path | None, content: str, *suffixes: str) -> None:
    """Refuse a file that cannot be written, before the work for its content begins.

    Parameters
    ----------
    key : str
        The option that names the file.
    to : path or None
        None if no file was asked for.
    content : str
        What the file will hold: "figure".
    *suffixes : str
        Allowed endings; none means any.

    Raises
    ------
    ConfigError
        Naming the option, the file, and what is allowed.
    """
    if to is None:
        return
    path, assignment = Path(to), f"{key} = {str(to)!r}"
    if suffixes and path.suffix.lower() not in suffixes:
        listed = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
        raise ConfigError(f"{assignment}: the {content} is a {listed} file")
    folder = next(p for p in path.absolute().parents if p.exists())  # missing ones are made
    if path.is_dir():
        raise ConfigError(f"{assignment} is a folder; name a file in it for the {content}")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{assignment} is no regular file; name another for the {content}")
    if not folder.is_dir():
        raise ConfigError(
            f"{assignment}: {folder} is no folder; name another file for the {content}"
        )
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{assignment}: nothing can be written to {folder}; name another folder")


class SideFiles:
    """Writes files besides an answer; an error is kept until the answer was shown.

    Attributes
    ----------
    error : OSError, UserError or None
        The first error, because of which a file was not written.
    """

    def __init__(self) -> None:
        self.error: Unwritten | None = None

    def write(self, to: str | None, writer: Callable[[str], object]) -> str | None:
        """Write a file, if one is asked for; returns its path, or None if it was not written."""
        if to is None:
            return None
        try:
            writer(to)
        except (OSError, UserError) as error:
            self.error = self.error or error
            return None
        return to
