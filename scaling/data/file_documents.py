"""Documents in files: which files belong to which part, and what is done with unreadable rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.data.documents import TRAIN, VALIDATION, Chunk, Documents
from scalinglab.scaling.data.files import files_of, refuse_shared, state_of
from scalinglab.scaling.fields import setting

REFUSE, SKIP = "refuse", "skip"


@dataclass(frozen=True)
class FileDocuments(Documents):
    """Documents in files: ``path`` is a file, a folder whose files match ``pattern``, or a glob."""

    path: str = ""
    pattern: str = "*"  # of the files in a folder and below it; several, separated by commas
    validation: str = ""  # files of the validation part, as path; "": some documents, by their hash
    unreadable: str = setting(REFUSE, (REFUSE, SKIP))  # what happens to a row that is no document

    def files(self) -> list[Path]:
        """The training files, in order."""
        return files_of("data.options.path", self.path, self.pattern, self.kind())

    def validation_files(self) -> list[Path]:
        """The separate files of the validation part; empty if it is cut from the training files."""
        if not self.validation:
            return []
        return files_of("data.options.validation", self.validation, self.pattern, self.kind())

    @property
    def named(self) -> str:
        """The option that names the files, and its value."""
        return f"data.options.path = {self.path!r}"

    @classmethod
    def kind(cls) -> str:
        """A noun for the files, for messages."""
        return "documents"

    def check(self) -> None:
        """Refuse options as `Documents.check`, and files that are in both parts."""
        refuse_shared(self.files(), self.validation_files(), "data.options.path")
        super().check()

    def state(self) -> list[list[str | int]]:
        """Names, sizes and times of the files: if they change, the store is made again."""
        return state_of([*self.validation_files(), *self.files()])

    def chunks(self) -> Iterator[Chunk]:
        """The chunks of the validation files, if there are any, and of the training files."""
        for path in self.validation_files():
            yield from (Chunk(VALIDATION, content) for content in self.chunks_of(path))
        part = TRAIN if self.validation else None
        for path in self.files():
            yield from (Chunk(part, content) for content in self.chunks_of(path))

    @abstractmethod
    def chunks_of(self, path: Path) -> Iterator[Any]:
        """The chunks of a file, as arguments of ``rows``; the first element of each is the path."""

    def origin(self, content: Any) -> Any:
        """The file of a chunk."""
        return content[0]

    @property
    def size(self) -> int | None:
        """Bytes of the files."""
        return sum(p.stat().st_size for p in [*self.validation_files(), *self.files()])
