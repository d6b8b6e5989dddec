"""Files of tokenizers that a person names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import ConfigError


def given_file(option: str, name: str, kind: str) -> Path:
    """The file that ``data.tokenizer.options.path`` names, maybe by the folder that it is in.

    Parameters
    ----------
    option : str
        The value of the option.
    name : str
        The file's name in a folder, or a pattern.
    kind : str
        The kind of file, for messages.

    Raises
    ------
    ConfigError
        If there is no such file.
    """
    key = "data.tokenizer.options.path"
    if not option:
        raise ConfigError(f"{key} is not set: {kind}, or the folder that it is in")
    path = Path(option)
    if path.is_dir():
        files = sorted(path.glob(name))
        if len(files) != 1:
            raise ConfigError(
                f"{key} = {option!r}: {len(files)} files in it match {name}; name one"
            )
        return files[0]
    if not path.is_file():
        raise ConfigError(f"{key} = {option!r}: there is no such file")
    return path


def file_state(path: Path) -> list[Any]:
    """The content of the files."""
    stat = path.stat()
    return [str(path), stat.st_size, stat.st_mtime_ns]
