"""The files that an option names: one, those of a folder, or those of a pattern.

They are sorted by their paths below the named folder, so that the order is equal on all machines.
"""

from __future__ import annotations

import filecmp
import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import ConfigError


def files_of(key: str, path: str, pattern: str, kind: str) -> list[Path]:
    """The files that an option names.

    Parameters
    ----------
    key : str
        The option, for messages.
    path : str
        The value of the option: a file, a folder, or a pattern such as ``shards/*.jsonl``.
    pattern : str
        Pattern of the files in a folder and below it, or several, separated by commas.
    kind : str
        The kind of the files, for messages: "JSON Lines".

    Raises
    ------
    ConfigError
        If the option is empty, or there is no such file.
    """
    if not path:
        raise ConfigError(f"{key} is not set: a file of {kind}, a folder of them, or a pattern")
    root = Path(path)
    if root.is_file():  # the name of a file may look like a pattern: "train [v2].jsonl"
        return [root]
    if root.is_dir():
        patterns = [p.strip() for p in pattern.split(",") if p.strip()]
        matches = {file for p in patterns for file in root.rglob(p) if file.is_file()}
        files = sorted(matches, key=lambda p: p.relative_to(root).as_posix())
        files = [p for p in files if not _is_hidden(p.relative_to(root))]
        if not files:
            raise ConfigError(
                f"{key} = {path!r}: no file in it or below matches {', '.join(patterns)}; name"
                " them with data.options.pattern"
            )
        return files
    files = sorted(Path(p) for p in glob.glob(path, recursive=True) if Path(p).is_file())
    if not files:
        raise ConfigError(f"{key} = {path!r}: there is no such file or folder")
    return files


def state_of(files: Sequence[Path]) -> list[list[str | int]]:
    """Names, sizes and times of files: if they are equal, the files have not changed."""
    facts = ((str(path), path.stat()) for path in files)
    return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in facts]


def refuse_shared(train: Sequence[Path], validation: Sequence[Path], key: str) -> None:
    """Refuse a validation file that is also a training file, by a link or as a copy, too.

    Parameters
    ----------
    train, validation : sequence of Path
    key : str
        The option that names the training files, for the message.
    """
    by_size: dict[int, list[Path]] = {}
    for path in train:
        by_size.setdefault(path.stat().st_size, []).append(path)
    for held_out in validation:
        for path in by_size.get(held_out.stat().st_size, []):
            if path.samefile(held_out) or filecmp.cmp(path, held_out, shallow=False):
                copy = "" if path.samefile(held_out) else f", as a copy of {path}"
                raise ConfigError(
                    f"{held_out} is in both parts{copy}: its tokens would be trained on and "
                    f"validated on; give {key} a pattern that leaves it out"
                )


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def line_of(path: Path, place: int, opener: Any = open) -> int:
    """The number of the line, from 1, that contains a byte of a file."""
    lines, remaining = 1, place
    with opener(path, "rb") as file:
        while remaining > 0 and (block := file.read(min(remaining, 1 << 20))):
            lines += block.count(b"\n")
            remaining -= len(block)
    return lines
