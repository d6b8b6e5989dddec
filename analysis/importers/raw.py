"""Files as raw tables: what they hold, under their own names, with nothing decided yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

_READERS = {
    ".csv": lambda path: pd.read_csv(path, dtype=str, keep_default_na=False),
    ".tsv": lambda path: pd.read_csv(path, dtype=str, keep_default_na=False, sep="\t"),
    ".parquet": pd.read_parquet,
    ".jsonl": lambda path: pd.read_json(path, lines=True),
}
# Reading one of these runs whatever program it contains.
_PICKLES = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".dill")


@dataclass(frozen=True)
class Raw:
    """Rows as a file or a tracker gave them.

    Attributes
    ----------
    frame : DataFrame
        Cells of a CSV are text: "" was not measured, "nan" was not a number.
    name : str
        Where the rows come from, for messages; the run's name where there is no other.
    first : int
        Number of the first row in the file, as an editor counts lines.
    facts : dict
        What holds for every row: a configuration, the run's name.
    notes : tuple of str
        What reading had to decide.
    """

    frame: pd.DataFrame
    name: str
    first: int = 2
    facts: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_file(path: Path) -> Raw:
    """One table: CSV (also compressed), TSV, parquet, or one JSON object a line.

    Raises
    ------
    ValueError
        If there is no such file, it is empty, or it is of a kind that is not read.
    """
    kind = next((s for s in reversed(path.suffixes) if s not in (".gz", ".zst", ".xz")), "")
    refuse_pickle(path)
    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    if kind.lower() not in _READERS:
        raise ValueError(f"{path}: {kind or 'no'} suffix; read are {', '.join(_READERS)}")
    try:
        frame = _READERS[kind.lower()](path)
    except (ValueError, UnicodeDecodeError, OSError) as error:  # pandas' and pyarrow's are such
        raise ValueError(f"{path} cannot be read as {kind}: {str(error).splitlines()[0]}") from None
    if frame.empty:
        raise ValueError(f"{path} has no rows")
    frame.columns = [str(name).strip() for name in frame.columns]
    if len(frame.columns) == 1 and ";" in frame.columns[0]:
        raise ValueError(f"{path}: its cells are separated by semicolons; save it with commas")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"{path} has two columns called {twice[0]!r}")
    return Raw(frame, path.name.removesuffix("".join(path.suffixes)) or path.name)


def refuse_pickle(path: Path) -> None:
    """Raise `ValueError` for files whose reading could run a program."""
    if path.suffix.lower() in _PICKLES:
        raise ValueError(
            f"{path}: {path.suffix} files may hold pickles, and reading one runs what it contains;"
            " export a CSV, parquet or JSON lines file instead"
        )
