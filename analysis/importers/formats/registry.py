"""The registry of formats: one file each, which recognises and reads its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalinglab.analysis.importers.formats.raw import Raw
from scalinglab.scaling.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# Reading one of these runs whatever program it contains.
_PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".dill")
_MOST_FILES = 50_000


@dataclass(frozen=True)
class Request:
    """What a person said of a file, where its format needs it.

    Attributes
    ----------
    pattern : tuple of str
        Of lines of a text log: ``"step {step} | loss {train_loss}"``.
    """

    pattern: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """A kind of file or folder.

    Attributes
    ----------
    name : str
        For messages.
    of_folders : bool
        Whether it is a folder; else a file.
    sniff : callable
        Whether a path is of this kind, by its name and first bytes.
    read : callable
        Its tables. ValueError in one sentence that names file and row.
    """

    name: str
    sniff: Callable[[Path], bool]
    read: Callable[[Path, Request], list[Raw]]
    of_folders: bool = False


FORMATS: list[Format] = []


def register(
    name: str, sniff: Callable[[Path], bool], *, of_folders: bool = False
) -> Callable[[Callable[[Path, Request], list[Raw]]], Callable[[Path, Request], list[Raw]]]:
    """Decorate the reader of a format. The first one that knows a path reads it."""

    def add(read: Callable[[Path, Request], list[Raw]]) -> Callable[[Path, Request], list[Raw]]:
        FORMATS.append(Format(name, sniff, read, of_folders))
        return read

    return add


def read_path(path: Path, request: Request) -> list[Raw]:
    """The tables of a file or folder, by the first format that knows it.

    Raises
    ------
    UserError
        If there is no such path, no format knows it, or its format cannot read it.
    """
    refuse_pickle(path)
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder")
    for kind in FORMATS:
        if kind.of_folders == path.is_dir() and kind.sniff(path):
            return kind.read(path, request)
    names = ", ".join(kind.name for kind in FORMATS if kind.of_folders == path.is_dir())
    if path.is_dir():
        raise UserError(f"{path} holds no {names}")
    raise UserError(f"{path}: {path.suffix or 'no'} suffix; read are {names}")


def refuse_pickle(path: Path) -> None:
    """Raise `UserError` for files whose reading could run a program."""
    if path.suffix.lower() in _PICKLES:
        raise UserError(
            f"{path}: {path.suffix} files may hold pickles, and reading one runs what it contains;"
            " export a CSV, parquet or JSON lines file instead"
        )


def suffix_of(path: Path) -> str:
    """The suffix that tells the format, in lower case, that of a compression left out."""
    kinds = [s.lower() for s in path.suffixes if s.lower() not in (".gz", ".xz", ".bz2")]
    return kinds[-1] if kinds else ""


def stem_of(path: Path) -> str:
    """A file's name without its suffixes."""
    compressed = (".gz", ".xz", ".bz2")
    stem = path.name
    for suffix in reversed(path.suffixes):
        if suffix.lower() in compressed or suffix.lower() == suffix_of(path):
            stem = stem.removesuffix(suffix)
    return stem or path.name


def text_of(path: Path) -> str:
    """The text of a file, compressed or not, in UTF-8 or UTF-16; line ends as they are.

    Raises
    ------
    UserError
        If it cannot be opened or is no text: names the line.
    """
    data = bytes_of(path)
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        coding = "utf-16"
    else:
        coding = "utf-8-sig"
    try:
        text = data.decode(coding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{path}, line {line}: not text in UTF-8; save it as UTF-8") from None
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise UserError(f"{path}, line {line}: holds a zero byte, which no text does")
    return text


def bytes_of(path: Path) -> bytes:
    """What a file holds, decompressed.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    # Missing from some builds of Python: only who reads such a file needs them.
    import bz2
    import gzip
    import lzma
    import zlib

    opener: Any = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}.get(
        path.suffix.lower(), open
    )
    try:
        with opener(path, "rb") as file:
            return file.read()
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read: {reason}") from None


def checked_columns(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """The table with stripped names of its columns; none stands twice.

    Raises
    ------
    UserError
        If two columns have one name.
    """
    names = [str(name).strip() for name in frame.columns]
    twice = (
        sorted({n for n in names if n and names.count(n) > 1})
        if (len(set(names)) < len(names))
        else []
    )
    if twice:
        raise UserError(f"{where} has two columns called {twice[0]!r}: rename one of them")
    return frame.set_axis(names, axis=1)


def files_below(folder: Path) -> list[Path]:
    """Files of a folder and those within it, in order, hidden ones left out.

    Raises
    ------
    UserError
        If there are more than anybody keeps of one study.
    """
    paths: list[Path] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        paths += [Path(place, f) for f in sorted(files) if not f.startswith(".")]
        if len(paths) > _MOST_FILES:
            raise UserError(
                f"{folder} holds more than {_MOST_FILES:,} files; name the folder of the runs alone"
            )
    return paths
