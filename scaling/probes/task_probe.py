"""The base of probes of tasks: the items of a task."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from scalinglab.scaling.data.byte_tokens import has_byte_tokens
from scalinglab.scaling.data.manifest import Manifest
from scalinglab.scaling.data.mixed import open_planned
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_1, setting
from scalinglab.scaling.probes.probe import TASK, Probe
from scalinglab.scaling.records.atomic import write_atomic
from scalinglab.scaling.records.spec import RunSpec
from scalinglab.scaling.tasks.items import Item, encoded, read_items, synthetic_items
from scalinglab.scaling.tasks.synthetic import check_task

FOLDER = "tasks"  # below outputs: copies of files, by their content


@dataclass(frozen=True, kw_only=True)
class TaskProbe(Probe):
    """Items of a file, or of a synthetic task."""

    file: str | None = None  # a file of lines of JSON
    task: str | None = None  # else a synthetic task: copy, reverse, addition, brackets, recall
    difficulty: int = setting(1, AT_LEAST_1)  # of a synthetic task
    items: int = setting(256, AT_LEAST_1)  # at most

    def check(self, run: RunSpec, outputs: Path) -> None:
        """Refuse a task that is not there, and items that the run cannot read."""
        self.tokens(run, outputs)

    def prepared(self, outputs: Path) -> Self:
        """With the name of a copy of its file, which workers find wherever they are."""
        if self.file is None:
            return self
        content = self._path(outputs).read_bytes()
        name = f"{self.stem}-{hashlib.sha256(content).hexdigest()[:8]}.jsonl"
        if not (outputs / FOLDER / name).exists():
            write_atomic(outputs / FOLDER / name, content)
        return dataclasses.replace(self, file=name)

    @property
    def stem(self) -> str:
        """The name of the task in columns."""
        if self.file is None:
            return f"{self.task}_{self.difficulty}"
        stem, dash, mark = Path(self.file).stem.rpartition("-")
        is_copy = bool(dash) and len(mark) == 8 and set(mark) <= set("0123456789abcdef")
        return stem if is_copy else Path(self.file).stem

    def column(self, name: str, number: str) -> str:
        """``task.<name>.<number>``: of one set of items, whatever the runs were trained on."""
        usual = ("file", "task", "difficulty")
        plain: dict[str, Any] = {
            f.name: f.default for f in dataclasses.fields(self) if f.name in usual
        }
        words = dataclasses.replace(self, **plain).words()
        return ".".join(filter(None, (f"{TASK}{self.stem}", words, number)))

    def read(self, outputs: Path) -> list[Item]:
        """The items.

        Raises
        ------
        ConfigError
            If there are none.
        """
        if (self.file is None) == (self.task is None):
            raise ConfigError(
                "options: a task is asked by options.file, a file of items, or by options.task, a"
                " synthetic one: give one of them"
            )
        if self.file is not None:
            return read_items(self._path(outputs), "options.file", self.items)
        assert self.task is not None
        check_task("options.task", self.task, self.difficulty, "options.difficulty")
        return synthetic_items(self.task, self.difficulty, self.items)

    def tokens(
        self, run: RunSpec, outputs: Path
    ) -> list[tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]]:
        """Context and continuations of each item, as the tokens of a run.

        Raises
        ------
        ConfigError
            If its data has no bytes as tokens, and an item is a text.
        """
        items = self.read(outputs)
        said = f"options.{'task' if self.file is None else 'file'} = {(self.file or self.task)!r}"

        @functools.cache
        def data() -> Manifest:
            return open_planned(run, outputs).manifest

        def encode(text: str) -> Sequence[int]:
            manifest = data()
            if not has_byte_tokens(manifest):
                raise ConfigError(
                    f"{said}: its items are texts, and run {run.run_id} was trained on tokens of"
                    f" {manifest.source!r} that are no bytes; give items as lists of tokens"
                )
            return text.encode()

        return encoded(items, encode, run.shape.context, run.shape.vocab, said)

    def _path(self, outputs: Path) -> Path:
        """Where the file lies: as it was named, or its copy."""
        assert self.file is not None
        copy = outputs / FOLDER / self.file
        return copy if copy.is_file() else Path(self.file).expanduser()
