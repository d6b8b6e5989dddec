"""Sources of documents: text that a tokenizer turns into one store.

A source reads chunks of about a megabyte, one at a time and in any process;
``scaling/data/build.py`` makes the store of them. What all of them share stands here: the column of
the text, the condition that chooses rows, and the cut of the validation part.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scalinglab.scaling.data.columns import Value, values_of
from scalinglab.scaling.data.files import files_of, refuse_shared, state_of
from scalinglab.scaling.data.scores import SCORES
from scalinglab.scaling.data.source import DataSource
from scalinglab.scaling.fields import ConfigError, Within, setting
from scalinglab.scaling.read_options import check_ranges
from scalinglab.scaling.text import conditions

CHUNK = 1 << 20  # bytes of text that are read and encoded at once
LONGEST = 64 << 20  # bytes that one document may have
TRAIN, VALIDATION = "train", "validation"
REFUSE, SKIP = "refuse", "skip"


@dataclass(frozen=True)
class Chunk:
    """A stretch of a source.

    Attributes
    ----------
    part : str or None
        The part that its documents belong to; None: each document's own hash decides.
    content : any
        What the source needs to read it; it may go to another process.
    """

    part: str | None
    content: Any


@dataclass(frozen=True)
class Rows:
    """Rows that were read.

    Attributes
    ----------
    columns : dict
        Name -> values, a list a column, None where a row has none. A column that no row has is
        absent.
    place : callable
        Where a row stands, for messages: "corpus.jsonl, line 7".
    unreadable : int
        Rows that were passed over.
    """

    columns: dict[str, list[Any]]
    place: Callable[[int], str]
    unreadable: int = 0

    def __len__(self) -> int:
        return max(map(len, self.columns.values()), default=0)


@dataclass(frozen=True)
class Selected:
    """Documents of a chunk with the columns that are kept, and how many rows were none."""

    texts: list[str]
    empty: int
    filtered: int
    unreadable: int
    columns: dict[str, list[Value]] = field(default_factory=dict)


@dataclass(frozen=True)
class Documents(DataSource, ABC):
    """A source of documents. Subclasses say how chunks are found and read."""

    text: str = "text"  # the column that holds the text
    where: str = ""  # a condition on columns (docs/conditions.md); the rows that meet it are taken
    validation_share: int = setting(16, Within(2))  # one document in this many is validation
    max_overlap: float = setting(0.5, Within(0, 1))  # share of validation that training may hold
    columns: list[str] = setting([], historic=[])  # that the store keeps, a value a document
    scores: list[str] = setting([], historic=[])  # columns that are computed of the text

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """All chunks, in an order that is the same on every machine; reading none where possible."""

    @abstractmethod
    def rows(self, content: Any) -> Rows:
        """The rows of a chunk, with at least the columns of ``names``."""

    @property
    def size(self) -> int | None:
        """Bytes that will be read, for the progress; None: not known."""
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are needed."""
        condition = self.condition
        wanted = (self.text, *(condition.names if condition else ()), *self.columns)
        return tuple(dict.fromkeys(wanted))

    @property
    def kept(self) -> list[str]:
        """The columns that the store keeps."""
        return [*self.columns, *self.scores]

    def option_of(self, column: str) -> str:
        """The option that asks for a column."""
        if column == self.text:
            return "data.options.text"
        return f"data.options.{'columns' if column in self.columns else 'where'}"

    @property
    def condition(self) -> conditions.Condition | None:
        """The condition that chooses rows.

        Raises
        ------
        ConfigError
            If it cannot be read.
        """
        if not self.where:
            return None
        try:
            return _parsed(self.where)
        except conditions.ConditionError as error:
            raise ConfigError(f"data.options.where = {error}") from None

    def check(self) -> None:
        """Refuse options out of their range, and columns that no document has.

        Raises
        ------
        ConfigError
            Naming the option.
        """
        check_ranges(self, "data.options")
        if not self.text:
            raise ConfigError("data.options.text is not set: the column that holds the text")
        twice = next((name for name in self.kept if self.kept.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(
                f"data.options.columns and scores have {twice!r} twice: each names one column"
            )
        missing = set(self.names)
        there: dict[str, None] = {}
        looked: set[Any] = set()
        for chunk in self.chunks():
            # The first chunk tells; where it lacks a column, the first ones of the other files.
            if (origin := self.origin(chunk.content)) in looked:
                continue
            looked.add(origin)
            columns = self.rows(chunk.content).columns
            missing -= {name for name in columns if any(v is not None for v in columns[name])}
            named = self.column_names(chunk.content)
            missing -= set(named) - {self.text}  # a condition's column may be empty at first
            there |= dict.fromkeys(columns) | dict.fromkeys(named)
            if not missing:
                return
        if not looked:
            raise ConfigError("data.options: the source has no documents")
        name = self.text if self.text in missing else min(missing)
        listed = conditions.listed(sorted(n for n in there if n not in missing))
        raise ConfigError(
            f"{self.option_of(name)}: no document has the column {name!r}; there are: {listed}"
        )

    def origin(self, content: Any) -> Any:
        """What chunks of one file, or of one table, have in common."""
        return None

    def column_names(self, content: Any) -> Sequence[str]:
        """The columns of a chunk, for messages."""
        return ()

    def select(self, rows: Rows) -> Selected:
        """The texts of the rows that are wanted.

        Raises
        ------
        ConfigError
            If a row has no text that is a string, or the condition makes no sense of its columns.
        """
        if not isinstance(rows, Rows):
            raise ConfigError(
                f"{type(self).__name__}.rows() gave a {type(rows).__name__}: Rows are wanted"
            )
        for name, values in rows.columns.items():
            if isinstance(values, str) or not isinstance(values, Sequence | np.ndarray):
                raise ConfigError(
                    f"{type(self).__name__}.rows() gave a {type(values).__name__} as the column"
                    f" {name!r}: a list is wanted, a value a row"
                )
            if len(values) != len(rows):
                raise ConfigError(
                    f"{type(self).__name__}.rows() gave {len(values):,} values of {name!r} for"
                    f" {len(rows):,} rows ({rows.place(0)} on): one a row is wanted"
                )
        texts = rows.columns.get(self.text, [None] * len(rows))
        condition = self.condition
        taken: Sequence[bool] = [True] * len(texts)
        if condition is not None and texts:
            columns = {
                name: rows.columns.get(name, [None] * len(texts)) for name in condition.names
            }
            try:
                taken = condition.holds(columns, len(texts)).tolist()
            except conditions.ConditionError as error:
                raise ConfigError(f"data.options.where = {error} ({rows.place(0)} on)") from None
        kept, numbers = [], []
        empty = 0
        for i, (text, wanted) in enumerate(zip(texts, taken, strict=True)):
            if not wanted:
                continue
            if text is not None and not isinstance(text, str):
                raise ConfigError(
                    f"{rows.place(i)}: the column {self.text!r} (data.options.text) holds"
                    f" {str(text)[:40]!r}, which is no string"
                )
            if text:
                _check_characters(text, self.text, rows, i)
                kept.append(text)
                numbers.append(i)
            else:
                empty += 1
        columns = self._kept_values(rows, numbers, kept)
        return Selected(kept, empty, len(texts) - sum(taken), rows.unreadable, columns)

    def _kept_values(
        self, rows: Rows, numbers: Sequence[int], texts: Sequence[str]
    ) -> dict[str, list[Value]]:
        """The values of some rows, which have those texts, in the columns that are kept."""
        found: dict[str, list[Value]] = {}
        for name in self.columns:
            values = rows.columns.get(name, [None] * len(rows))
            found[name] = values_of(name, [values[i] for i in numbers], numbers, rows.place)
        for name in self.scores:
            found[name] = [
                _score(name, text, rows, i) for i, text in zip(numbers, texts, strict=True)
            ]
        return found

    def part_of(self, text: bytes, part: str | None) -> tuple[str, int]:
        """The part that a document belongs to, and its hash.

        The hash is that of the text: the same documents are held out for every tokenizer, and
        copies of one document are in one part.
        """
        key = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        return part or (VALIDATION if key % self.validation_share == 0 else TRAIN), key

    def training_texts(self, size: int) -> Iterator[str]:
        """Documents of the training part, about so many bytes of text, from chunks far apart.

        A pure function of the source: a tokenizer that is trained on them is the same everywhere.
        """
        total = self.size
        every = 1 if total is None else max(1, total // max(1, size))
        given = 0
        for chunk in itertools.islice(self.chunks(), 0, None, every):
            if chunk.part == VALIDATION:
                continue
            for text in self.select(self.rows(chunk.content)).texts:
                data = text.encode()
                if self.part_of(data, chunk.part)[0] == TRAIN:
                    yield text
                    given += len(data)
                    if given >= size:
                        return


def _check_characters(text: str, column: str, rows: Rows, number: int) -> None:
    """Refuse what no encoding writes: halves of characters, as a wrong decoder leaves them."""
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{rows.place(number)}: the column {column!r} (data.options.text) has at character"
            f" {error.start} {text[error.start]!r}, which is half of a character: repair the text, or"
            " leave the row out"
        ) from None


def _score(name: str, text: str, rows: Rows, number: int) -> float:
    try:
        value: Any = SCORES[name](text)
    except Exception as error:  # whatever the code of somebody else does
        raise ConfigError(
            f"data.options.scores = {name!r} fails for {rows.place(number)}:"
            f" {type(error).__name__}: {error}"
        ) from error
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise ConfigError(
            f"data.options.scores = {name!r} gave {str(value)[:40]!r} for {rows.place(number)}: it is"
            " a number that is wanted of each text"
        )
    return float(value)


@functools.lru_cache(maxsize=8)
def _parsed(text: str) -> conditions.Condition:
    return conditions.parse(text)


@dataclass(frozen=True)
class FileDocuments(Documents):
    """Documents in files: data.options.path is a file, a folder with pattern in it, or a pattern."""

    path: str = ""
    pattern: str = "*"  # of the files in a folder and below it; several, separated by commas
    validation: str = ""  # files of the validation part, as path; "": one document in some by hash
    unreadable: str = setting(REFUSE, (REFUSE, SKIP))  # what is done with a row that is no document

    def files(self) -> list[Path]:
        """The training files, in order."""
        return files_of("data.options.path", self.path, self.pattern, self.kind())

    def validation_files(self) -> list[Path]:
        """The files of the validation part, where it has its own."""
        if not self.validation:
            return []
        return files_of("data.options.validation", self.validation, self.pattern, self.kind())

    @classmethod
    def kind(cls) -> str:
        """What the files are, for messages."""
        return "documents"

    def check(self) -> None:
        """Refuse also files that are in both parts."""
        refuse_shared(self.files(), self.validation_files(), "data.options.path")
        super().check()

    def state(self) -> list[list[str | int]]:
        """What changes when the files do: a store is made again then."""
        return state_of([*self.validation_files(), *self.files()])

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of the validation files, if there are any, and of the training files."""
        for path in self.validation_files():
            yield from (Chunk(VALIDATION, content) for content in self.chunks_of(path))
        own = TRAIN if self.validation else None
        for path in self.files():
            yield from (Chunk(own, content) for content in self.chunks_of(path))

    @abstractmethod
    def chunks_of(self, path: Path) -> Iterator[Any]:
        """The chunks of a file: what ``rows`` takes; the path is first in each."""

    def origin(self, content: Any) -> Any:
        """Its file."""
        return content[0]

    @property
    def size(self) -> int | None:
        """Bytes of the files."""
        return sum(p.stat().st_size for p in [*self.validation_files(), *self.files()])
