"""Files that a person names: one, those of a folder, or those of a pattern; always in one order.

The order is that of their paths below what was named, so it is the same on every machine.
"""

from __future__ import annotations

import filecmp
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import ConfigError


def files_of(key: str, named: str, pattern: str, what: str) -> list[Path]:
    """The files that an option names.

    Parameters
    ----------
    key : str
        The option, for messages.
    named : str
        A file, a folder, or a pattern such as ``shards/*.jsonl``.
    pattern : str
        Of the files in a folder and below it, or several, separated by commas.
    what : str
        What is meant, for messages: "JSON Lines".

    Raises
    ------
    ConfigError
        If nothing is named, or there is no such file.
    """
    if not named:
        raise ConfigError(f"{key} is not set: a file of {what}, a folder of them, or a pattern")
    root = Path(named)
    if root.is_file():  # a name may hold what a pattern is made of: "train [v2].jsonl"
        return [root]
    if root.is_dir():
        patterns = [p.strip() for p in pattern.split(",") if p.strip()]
        found = {p for one in patterns for p in root.rglob(one) if p.is_file()}
        files = sorted(found, key=lambda p: p.relative_to(root).as_posix())
        files = [p for p in files if not _is_hidden(p.relative_to(root))]
        if not files:
            raise ConfigError(
                f"{key} = {named!r}: no file in it or below matches {', '.join(patterns)}; name"
                " them with data.options.pattern"
            )
        return files
    files = sorted(Path(p) for p in glob.glob(named, recursive=True) if Path(p).is_file())
    if not files:
        raise ConfigError(f"{key} = {named!r}: there is no such file or folder")
    return files


def state_of(files: Sequence[Path]) -> list[list[str | int]]:
    """What changes when files do: their sizes and times."""
    facts = ((str(path), path.stat()) for path in files)
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in facts]


def refuse_shared(train: Sequence[Path], validation: Sequence[Path], key: str) -> None:
    """A file that is trained on measures nothing: by whatever name, link or copy it comes twice.

    Parameters
    ----------
    train, validation : sequence of Path
    key : str
        The option that names the training files, for the message.
    """
    of_size: dict[int, list[Path]] = {}
    for path in train:
        of_size.setdefault(path.stat().st_size, []).append(path)
    for held_out in validation:
        for path in of_size.get(held_out.stat().st_size, []):
            if path.samefile(held_out) or filecmp.cmp(path, held_out, shallow=False):
                copy = "" if path.samefile(held_out) else f", as a copy of {path}"
                raise ConfigError(
                    f"{held_out} is in both parts{copy}: its tokens would be trained on and "
                    f"validated on; give {key} a pattern that leaves it out"
                )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def line_of(path: Path, place: int, opener: Any = open) -> int:
    """The number of the line, from 1, in which a byte of a file stands."""
    lines, left = 1, place
    with opener(path, "rb") as file:
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            lines += block.count(b"\n")
            left -= len(block)
    return lines
