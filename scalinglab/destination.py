"""Files that are written beside an answer: refused before the work, and never at its expense."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from scalinglab.scaling.errors import ConfigError, UserError

Unwritten = OSError | UserError  # why there is no file


def check_destination(key: str, to: str | Path | None, what: str, *suffixes: str) -> None:
    """Refuse a file that cannot be written, before the work whose result it is to hold.

    Parameters
    ----------
    key : str
        The option that names it.
    to : path or None
        None where no file was asked for.
    what : str
        What the file holds: "figure".
    *suffixes : str
        Allowed endings; any if none are named.

    Raises
    ------
    ConfigError
        Naming the option, the file, and what is allowed.
    """
    if to is None:
        return
    path, named = Path(to), f"{key} = {str(to)!r}"
    if suffixes and path.suffix.lower() not in suffixes:
        listed = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
        raise ConfigError(f"{named}: the {what} is a {listed} file")
    folder = next(p for p in path.absolute().parents if p.exists())  # others are made
    if path.is_dir():
        raise ConfigError(f"{named} is a folder; name a file in it for the {what}")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{named} is no regular file; name another for the {what}")
    if not folder.is_dir():
        raise ConfigError(f"{named}: {folder} is no folder; name another file for the {what}")
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"{named}: nothing can be written to {folder}; name another folder")


class Beside:
    """Writes files beside an answer; what goes wrong waits until the answer was shown.

    Attributes
    ----------
    error : OSError, UserError or None
        Why a file could not be written: the first reason.
    """

    def __init__(self) -> None:
        self.error: Unwritten | None = None

    def write(self, to: str | None, how: Callable[[str], object]) -> str | None:
        """Write a file, if one is asked for; where it is, None where there is none."""
        if to is None:
            return None
        try:
            how(to)
        except (OSError, UserError) as error:
            self.error = self.error or error
            return None
        return to
