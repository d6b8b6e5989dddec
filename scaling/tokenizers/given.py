"""Files of tokenizers that a person names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import ConfigError


def given_file(named: str, name: str, what: str) -> Path:
    """The file that ``data.tokenizer.options.path`` names, maybe by the folder that it is in.

    Parameters
    ----------
    named : str
    name : str
        What it is called in a folder, or a pattern.
    what : str
        What is meant, for messages.

    Raises
    ------
    ConfigError
        If there is no such file.
    """
    key = "data.tokenizer.options.path"
    if not named:
        raise ConfigError(f"{key} is not set: {what}, or the folder that it is in")
    path = Path(named)
    if path.is_dir():
        found = sorted(path.glob(name))
        if len(found) != 1:
            raise ConfigError(f"{key} = {named!r}: {len(found)} files in it match {name}; name one")
        return found[0]
    if not path.is_file():
        raise ConfigError(f"{key} = {named!r}: there is no such file")
    return path


def file_state(path: Path) -> list[Any]:
    """What changes when a file does."""
    stat = path.stat()
    return [str(path), stat.st_size, stat.st_mtime_ns]
