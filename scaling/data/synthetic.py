"""Text of synthetic problems with their answers, one a line, with bytes as tokens.

The training part has training problems only, the validation part test problems
(``scalinglab.scaling.tasks.synthetic``). The two sets are disjoint by content, and tasks ask test
problems, which no run has seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scalinglab.scaling.data.source import SOURCES, Source
from scalinglab.scaling.data.store import Corpus
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import AT_LEAST_0, AT_LEAST_1, setting
from scalinglab.scaling.read_options import check_ranges
from scalinglab.scaling.tasks.synthetic import check_task, problems


@SOURCES.register("synthetic")
@dataclass(frozen=True)
class SyntheticSource(Source):
    """Synthetic problems with their answers: copy, reverse, addition, brackets, recall.

    Attributes
    ----------
    tasks : list of str
        The kinds of problems, all equally frequent.
    difficulties : list of int
        The difficulties, all equally frequent.
    tokens, validation_tokens : int
        Bytes of the two parts.
    seed : int
    """

    tasks: list[str] = field(default_factory=lambda: ["addition"])
    difficulties: list[int] = field(default_factory=lambda: [1, 2, 3])
    tokens: int = setting(8_000_000, AT_LEAST_1)
    validation_tokens: int = setting(65_537, AT_LEAST_1)
    seed: int = setting(0, AT_LEAST_0)

    def corpus(self) -> Corpus:
        """Draw problems until both parts have enough text."""
        check_ranges(self, "data.options")
        if not self.tasks or not self.difficulties:
            raise ConfigError("data.options: tasks and difficulties name one or more each")
        for task in self.tasks:
            for difficulty in self.difficulties:
                check_task("data.options.tasks", task, difficulty, "data.options.difficulties")
        return Corpus(
            train=self._text(self.tokens, test=False),
            validation=self._text(self.validation_tokens, test=True),
            vocab=256,
            bytes_per_token=1.0,
            facts={"tasks": list(self.tasks), "difficulties": list(self.difficulties)},
        )

    def _text(self, size: int, *, test: bool) -> np.ndarray:
        kinds = [
            problems(task, difficulty, test=test, seed=self.seed)
            for task in self.tasks
            for difficulty in self.difficulties
        ]
        draw = np.random.Generator(np.random.Philox([self.seed, int(test)]))
        text = bytearray()
        while len(text) < size:
            for kind in draw.integers(len(kinds), size=4_096):
                problem = next(kinds[kind])
                text += f"{problem.prompt}{problem.answer}\n".encode()
        return np.frombuffer(bytes(text[:size]), dtype=np.uint8)
