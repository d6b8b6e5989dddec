"""Problems with checkable answers, made by rule: of any number, in several difficulties.

A problem is a line of text, prompt and answer: ``17+25=42``. Whether it is one of training or of
test is decided by a hash of its prompt, so the two are disjoint by content whatever the seeds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import one_of

TEST_SHARE = 16  # one prompt in so many is of the test
LETTERS = "abcdefghijklmnopqrstuvwxyz"
_LETTERS = np.frombuffer(LETTERS.encode(), np.uint8)
_OPEN, _CLOSE = "([{<", ")]}>"
_NOISE = 4  # brackets beside those of the answer, about
# Problems of one call where all take equally many numbers: they are those of as many calls, as
# NumPy fills an array number by number, and one call costs as much as a hundred numbers.
_AT_ONCE = 256
_TRIES = 1_000  # draws that gave nothing new, after which a task has no further problems


class Problem(NamedTuple):
    """A prompt and its only right answer, which a line break ends."""

    prompt: str
    answer: str

    @property
    def is_test(self) -> bool:
        """Whether it is of the test."""
        mark = hashlib.sha256(self.prompt.encode()).digest()
        return int.from_bytes(mark[:4], "little") % TEST_SHARE == 0


def _copy(draw: np.random.Generator, difficulty: int) -> list[Problem]:
    return [Problem(f"c:{word}=", word) for word in _words(draw, difficulty)]


def _reverse(draw: np.random.Generator, difficulty: int) -> list[Problem]:
    return [Problem(f"r:{word}=", word[::-1]) for word in _words(draw, difficulty)]


def _addition(draw: np.random.Generator, difficulty: int) -> list[Problem]:
    pairs = draw.integers(10**difficulty, size=(_AT_ONCE, 2)).tolist()
    return [Problem(f"{a}+{b}=", str(a + b)) for a, b in pairs]


def _brackets(draw: np.random.Generator, difficulty: int) -> list[Problem]:
    """Opened brackets, some of them closed: the answer closes the rest."""
    open_now: list[int] = []
    text = ""
    while len(open_now) < difficulty or len(text) < 2 * difficulty + _NOISE:
        if len(open_now) == difficulty or (open_now and draw.random() < 0.3):
            text += _CLOSE[open_now.pop()]
        else:
            open_now.append(int(draw.integers(len(_OPEN))))
            text += _OPEN[open_now[-1]]
    return [Problem(f"b:{text}=", "".join(_CLOSE[kind] for kind in reversed(open_now)))]


def _recall(draw: np.random.Generator, difficulty: int) -> list[Problem]:
    """Keys with values, and one key: the answer is its value."""
    keys = draw.permutation(len(LETTERS))[:difficulty]
    values = draw.integers(10, size=difficulty)
    pairs = "".join(f"{LETTERS[k]}{v}" for k, v in zip(keys, values, strict=True))
    chosen = int(draw.integers(difficulty))
    return [Problem(f"k:{pairs}?{LETTERS[keys[chosen]]}=", str(values[chosen]))]


def _words(draw: np.random.Generator, length: int) -> list[str]:
    letters = _LETTERS[draw.integers(len(LETTERS), size=_AT_ONCE * length)].tobytes().decode()
    return [letters[at : at + length] for at in range(0, len(letters), length)]


# Task -> (its next problems of a difficulty, the largest difficulty); difficulty counts letters,
# digits, open brackets, pairs.
TASKS: Mapping[str, tuple[Callable[[np.random.Generator, int], list[Problem]], int]] = {
    "copy": (_copy, 64),
    "reverse": (_reverse, 64),
    "addition": (_addition, 18),
    "brackets": (_brackets, 64),
    "recall": (_recall, len(LETTERS)),
}


def check_task(key: str, name: str, difficulty: int, key_of_difficulty: str) -> None:
    """Refuse a task that is not there, or a difficulty that it has not; keys are for messages.

    Raises
    ------
    ConfigError
        Naming the key, the value and what is allowed.
    """
    one_of(key, name, TASKS)
    most = TASKS[name][1]
    if not 1 <= difficulty <= most:
        raise ConfigError(f"{key_of_difficulty} = {difficulty}: the task {name!r} has 1 to {most}")


def problems(name: str, difficulty: int, *, test: bool, seed: int = 0) -> Iterator[Problem]:
    """Problems without end, of training or of test; the same ones for a seed."""
    for problem in _drawn(name, difficulty, test=test, seed=seed):
        if problem.is_test == test:
            yield problem


def distinct(name: str, difficulty: int, count: int, *, seed: int = 0) -> list[Problem]:
    """`count` different test problems, or fewer if the task has no more."""
    by_prompt: dict[str, Problem] = {}
    idle = 0
    for problem in _drawn(name, difficulty, test=True, seed=seed):
        if len(by_prompt) >= count or idle >= _TRIES * TEST_SHARE:
            break
        idle += 1
        if problem.is_test and problem.prompt not in by_prompt:
            by_prompt[problem.prompt], idle = problem, 0
    return list(by_prompt.values())


def _drawn(name: str, difficulty: int, *, test: bool, seed: int) -> Iterator[Problem]:
    """All problems in the order of their numbers, of training and of test."""
    make, draw = TASKS[name][0], _generator(name, difficulty, test=test, seed=seed)
    while True:
        yield from make(draw, difficulty)


def _generator(name: str, difficulty: int, *, test: bool, seed: int) -> np.random.Generator:
    text = f"{name}:{difficulty}:{test}:{seed}".encode()
    return np.random.Generator(
        np.random.Philox(key=int.from_bytes(hashlib.sha256(text).digest()[:16], "little"))
    )
