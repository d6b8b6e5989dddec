"""Datasets of Hugging Face: a local folder, or a dataset of the Hub at a given commit.

A branch or a tag can move, and equal names would then mean different data: a dataset of the Hub
needs a commit. Streaming downloads no more than is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.data.documents import TRAIN, VALIDATION, Chunk, Documents, Rows
from scalinglab.scaling.data.files import state_of
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data.tables import inner, top_columns
from scalinglab.scaling.errors import ConfigError, UserError
from scalinglab.scaling.extras import needs_extra

_COMMIT = re.compile(r"[0-9a-f]{40}")
_ROWS = 64  # that are read and encoded together
_SAVED = ("state.json", "dataset_dict.json")  # what save_to_disk writes


@SOURCES.register("hf")
@dataclass(frozen=True)
class HuggingFace(Documents):
    """Documents of a dataset of Hugging Face: data.options.path, and text, the column."""

    path: str = ""  # a folder (of save_to_disk, or of data files), or a name on the Hub
    name: str = ""  # of its configuration, where it has several
    split: str = "train"
    validation_split: str = ""  # "": one document in validation_share, by hash
    revision: str = ""  # commit, 40 digits; a dataset of the Hub needs one
    streaming: bool = True  # of the Hub: read while it comes, or download it first

    def state(self) -> Any:
        """Files of a local folder; a commit does not change."""
        if not self.path:
            raise ConfigError(
                "data.options.path is not set: a folder of a dataset, or its name on the Hub"
            )
        if self._is_local:
            if self.revision:
                raise ConfigError(
                    f"data.options.revision = {self.revision!r}: {self.path!r} is a folder here,"
                    " which has no commits; leave it out, or name a dataset of the Hub"
                )
            return state_of(sorted(p for p in Path(self.path).rglob("*") if p.is_file()))
        if not _COMMIT.fullmatch(self.revision):
            stated = repr(self.revision) if self.revision else "not set"
            raise ConfigError(
                f"data.options.revision is {stated}: {self.path!r} is no folder here, and what a"
                " branch or a tag of the Hub names may change; give the commit, 40 hexadecimal"
                f" digits (https://huggingface.co/datasets/{self.path}/commits)"
            )
        return None

    @property
    def named(self) -> str:
        """The option that names the dataset, and its value."""
        return f"data.options.path = {self.path!r}"

    @property
    def _is_local(self) -> bool:
        return Path(self.path).is_dir()

    def chunks(self) -> Iterator[Chunk]:
        """Rows, a few at a time, in the order of the dataset."""
        if self.validation_split:
            if self.validation_split == self.split:
                raise ConfigError(
                    f"data.options.validation_split = {self.split!r} is data.options.split: its"
                    " documents would be trained on and validated on"
                )
            yield from self._chunks_of(self.validation_split, VALIDATION)
        yield from self._chunks_of(self.split, TRAIN if self.validation_split else None)

    def _chunks_of(self, split: str, part: str | None) -> Iterator[Chunk]:
        rows = self._opened(split)
        available = rows.column_names  # None for a stream, whose rows have the names
        if available is not None:
            for name in self.names:
                if not top_columns([name], available):
                    raise ConfigError(
                        f"{self.option_of(name)}: {self.path!r} has no column {name!r}; there are:"
                        f" {', '.join(available)}"
                    )
            rows = rows.select_columns(top_columns(self.names, available))
        start = 0
        for columns in self._reading(rows.iter(_ROWS)):
            yield Chunk(part, (split, start, columns))
            start += len(next(iter(columns.values())))

    def rows(self, content: Any) -> Rows:
        """The rows of a chunk, which were read with it."""
        split, start, columns = content
        needed = {}
        for name in self.names:
            top, _, keys = name.partition(".")
            if name in columns:
                needed[name] = columns[name]
            elif top in columns:
                needed[name] = [inner(cell, keys.split(".")) for cell in columns[top]]
        return Rows(needed, lambda i: f"{self.path}, row {start + i + 1} of {split}")

    def origin(self, content: Any) -> Any:
        """The split of a chunk."""
        return content[0]

    def column_names(self, content: Any) -> Sequence[str]:
        """The columns that were read."""
        return list(content[2])

    def _opened(self, split: str) -> Any:
        # Imported here, because the library is an extra.
        with needs_extra("data=hf"):
            import datasets

        datasets.disable_progress_bars()
        folder = Path(self.path)
        try:
            if any((folder / name).exists() for name in _SAVED):
                saved = datasets.load_from_disk(self.path)
                if not isinstance(saved, datasets.DatasetDict):
                    if split not in ("train", str(saved.split)):
                        raise ValueError("it is one dataset, without splits")
                    return saved
                if split not in saved:
                    raise ValueError(f"there are the splits {', '.join(saved)}")
                return saved[split]
            return datasets.load_dataset(
                self.path,
                self.name or None,
                split=split,
                revision=self.revision or None,
                streaming=self.streaming,
            )
        except Exception as error:  # files, the network and the library share no base
            raise self._error(error, split) from error

    def _reading(self, batches: Iterator[dict[str, list[Any]]]) -> Iterator[dict[str, list[Any]]]:
        try:
            yield from batches
        except UserError:
            raise
        except Exception as error:  # files, the network and the library share no base
            raise self._error(error) from error

    def _error(self, error: Exception, split: str = "") -> UserError:
        """The refusal of a dataset that cannot be read.

        Of the Hub it is no `ConfigError`: the network may be back when the command is given again,
        so a build keeps what it has.
        """
        of_split = f", split {split!r}," if split else ""
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        sentence = f"data.options.path = {self.path!r}{of_split} cannot be read: {reason}"
        if self._is_local:
            return ConfigError(sentence)
        return UserError(f"{sentence}; once the Hub answers, the same command goes on from there")
