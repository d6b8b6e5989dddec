"""Sources of documents: text that a tokenizer turns into one store.

A source reads chunks of about a megabyte, one at a time and in any process;
`scalinglab.scaling.data.build` makes the store of them. All sources share the column of the text,
the condition that chooses rows, and the split into training and validation parts.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scalinglab.scaling.data.cells import check_characters, no_string, score_of
from scalinglab.scaling.data.columns import Value, values_of
from scalinglab.scaling.data.source import DataSource
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within, setting
from scalinglab.scaling.read_options import check_ranges
from scalinglab.scaling.text import conditions

CHUNK = 1 << 20  # bytes of text that are read and encoded at once
LONGEST = 64 << 20  # bytes that one document may have
TRAIN, VALIDATION = "train", "validation"


@dataclass(frozen=True)
class Chunk:
    """A stretch of a source.

    Attributes
    ----------
    part : str or None
        The part of its documents; None: the hash of each document decides.
    content : any
        The argument of ``rows``; it may be sent to another process.
    """

    part: str | None
    content: Any


@dataclass(frozen=True)
class Rows:
    """Rows of a chunk.

    Attributes
    ----------
    columns : dict
        Name -> list of values, None in rows without one. A column that no row has is absent.
    place : callable
        The place of a row, for messages: "corpus.jsonl, line 7".
    unreadable : int
        Rows that were skipped.
    """

    columns: dict[str, list[Any]]
    place: Callable[[int], str]
    unreadable: int = 0

    def __len__(self) -> int:
        return max(map(len, self.columns.values()), default=0)


@dataclass(frozen=True)
class Selected:
    """The documents of a chunk with the kept columns, and the numbers of rows left out."""

    texts: list[str]
    empty: int
    filtered: int
    unreadable: int
    columns: dict[str, list[Value]] = field(default_factory=dict)
    first_empty: str = ""  # the place of the first row without text


@dataclass(frozen=True)
class Documents(DataSource, ABC):
    """A source of documents; subclasses find and read the chunks."""

    text: str = "text"  # the column of the text
    where: str = ""  # a condition on columns (docs/conditions.md): only rows that meet it
    validation_share: int = setting(16, Within(2))  # one document in this many is validation
    # The largest share of the validation part that may also be in the training part.
    max_overlap: float = setting(0.5, Within(0, 1))
    columns: list[str] = setting([], historic=[])  # columns of which the store keeps the values
    scores: list[str] = setting([], historic=[])  # columns that are computed from the text

    def overlap_limit(self) -> float:
        """As the option says."""
        return self.max_overlap

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """All chunks in an order that is equal on all machines, if possible without reading any."""

    @abstractmethod
    def rows(self, content: Any) -> Rows:
        """The rows of a chunk, with at least the columns of ``names``."""

    @property
    def size(self) -> int | None:
        """Bytes that will be read, for the progress; None if unknown."""
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that rows must have: of the text, of the condition, and kept ones."""
        condition = self.condition
        needed = (self.text, *(condition.names if condition else ()), *self.columns)
        return tuple(dict.fromkeys(needed))

    @property
    def named(self) -> str:
        """The source, for messages: the option that names it, and its value."""
        return "data.options"

    @property
    def kept(self) -> list[str]:
        """The columns that the store keeps."""
        return [*self.columns, *self.scores]

    def option_of(self, column: str) -> str:
        """The option that names a column."""
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
        self._check_columns()

    def _check_columns(self) -> None:
        """Refuse columns that the first documents of all files lack."""
        missing = set(self.names)
        available: dict[str, None] = {}
        declared_names: set[str] = set()
        origins: set[Any] = set()
        for chunk in self.chunks():
            # The first chunk suffices, or else the first chunks of further files.
            if (origin := self.origin(chunk.content)) in origins:
                continue
            origins.add(origin)
            columns = self.rows(chunk.content).columns
            missing -= {name for name in columns if any(v is not None for v in columns[name])}
            declared = self.column_names(chunk.content)
            missing -= set(declared) - {self.text}  # a condition's column may be empty at first
            declared_names |= set(declared)
            available |= dict.fromkeys(columns) | dict.fromkeys(declared)
            if not missing:
                return
        if not origins:
            raise ConfigError(f"{self.named}: it has no documents")
        name = self.text if self.text in missing else min(missing)
        if name in declared_names:
            raise ConfigError(
                f"{self.option_of(name)}: the column {name!r} holds no text in any of the first"
                f" rows of {self.named}"
            )
        listed = conditions.listed(sorted(n for n in available if n not in missing))
        raise ConfigError(
            f"{self.option_of(name)}: no document has the column {name!r}; there are: {listed}"
        )

    def origin(self, content: Any) -> Any:
        """The file or the table of a chunk."""
        return None

    def column_names(self, content: Any) -> Sequence[str]:
        """The columns that a chunk declares, even if they are empty."""
        return ()

    def select(self, rows: Rows) -> Selected:
        """The texts of the rows that meet the condition.

        Raises
        ------
        ConfigError
            If a text is not a string, or the condition makes no sense for the columns.
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
        meets = self._meets_condition(rows, len(texts))
        selected, numbers = [], []
        empty, first_empty = 0, ""
        for i, text in enumerate(texts):
            if not meets[i]:
                continue
            if text is not None and not isinstance(text, str):
                raise ConfigError(no_string(rows.place(i), self.text, text))
            if text:
                check_characters(text, self.text, rows.place(i))
                selected.append(text)
                numbers.append(i)
            else:
                first_empty = first_empty or rows.place(i)
                empty += 1
        columns = self._kept_columns(rows, numbers, selected)
        filtered = len(texts) - sum(meets)
        return Selected(selected, empty, filtered, rows.unreadable, columns, first_empty)

    def _meets_condition(self, rows: Rows, row_count: int) -> Sequence[bool]:
        """Whether each row meets the condition; all do without one."""
        condition = self.condition
        if condition is None or not row_count:
            return [True] * row_count
        columns = {name: rows.columns.get(name, [None] * row_count) for name in condition.names}
        try:
            meets: list[bool] = condition.holds(columns, row_count).tolist()
        except conditions.ConditionError as error:
            raise ConfigError(f"data.options.where = {error} ({rows.place(0)} on)") from None
        return meets

    def _kept_columns(
        self, rows: Rows, numbers: Sequence[int], texts: Sequence[str]
    ) -> dict[str, list[Value]]:
        """The kept columns of the rows with these numbers and texts."""
        columns: dict[str, list[Value]] = {}
        for name in self.columns:
            values = rows.columns.get(name, [None] * len(rows))
            columns[name] = values_of(name, [values[i] for i in numbers], numbers, rows.place)
        for name in self.scores:
            columns[name] = [
                score_of(name, text, rows.place(i)) for i, text in zip(numbers, texts, strict=True)
            ]
        return columns

    def part_of(self, text: bytes, part: str | None) -> tuple[str, int]:
        """The part of a document, and its hash.

        The hash is of the text: every tokenizer has the same validation documents, and all copies
        of a document are in one part.
        """
        key = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
        return part or (VALIDATION if key % self.validation_share == 0 else TRAIN), key

    def training_texts(self, size: int) -> Iterator[str]:
        """Documents of the training part, about `size` bytes of text, from chunks far apart.

        A pure function of the source: a tokenizer trained on them is the same everywhere.
        """
        total = self.size
        every = 1 if total is None else max(1, total // max(1, size))
        sampled_bytes = 0
        for chunk in itertools.islice(self.chunks(), 0, None, every):
            if chunk.part == VALIDATION:
                continue
            for text in self.select(self.rows(chunk.content)).texts:
                encoded = text.encode()
                if self.part_of(encoded, chunk.part)[0] == TRAIN:
                    yield text
                    sampled_bytes += len(encoded)
                    if sampled_bytes >= size:
                        return


@functools.lru_cache(maxsize=8)
def _parsed(text: str) -> conditions.Condition:
    return conditions.parse(text)
