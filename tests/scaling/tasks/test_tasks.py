"""Items of tasks: made up by rule, read from files, refused where they are none."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.tasks.items import Item, encoded, read_items
from scalinglab.scaling.tasks.synthetic import (
    LETTERS,
    TASKS,
    Problem,
    _generator,
    check_task,
    distinct,
    problems,
)

CLOSES = dict(zip(")]}>", "([{<", strict=True))


def solved(prompt: str) -> str:
    """The answer to a problem, found from its prompt alone."""
    if "+" in prompt:
        return str(sum(map(int, prompt[:-1].split("+"))))
    kind, text = prompt[0], prompt[2:-1]
    if kind == "k":
        pairs, _, key = text.partition("?")
        return pairs[pairs.index(key) + 1]
    if kind == "b":
        opened = []
        for letter in text:
            if letter in CLOSES:
                assert opened.pop() == CLOSES[letter]
            else:
                opened.append(letter)
        return "".join({v: k for k, v in CLOSES.items()}[letter] for letter in reversed(opened))
    return text if kind == "c" else text[::-1]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("difficulty", [1, 3, 9])
def test_answers_are_right_and_training_and_test_share_no_prompt(name, difficulty) -> None:
    of_test = distinct(name, difficulty, 20)
    of_training = [*itertools.islice(problems(name, difficulty, test=False, seed=5), 300)]
    for problem in (*of_test, *of_training):
        assert problem.answer == solved(problem.prompt)
    assert not {p.prompt for p in of_test} & {p.prompt for p in of_training}
    assert of_test and len({p.prompt for p in of_test}) == len(of_test)


def test_problems_drawn_at_once_are_those_drawn_one_by_one() -> None:
    """The text of studies that were trained, and so their ids, hang on it."""
    draw = _generator("addition", 10, test=False, seed=2)  # beyond 32 bits
    pairs = (draw.integers(10**10, size=2).tolist() for _ in range(700))
    one_by_one = [Problem(f"{a}+{b}=", str(a + b)) for a, b in pairs]
    letters, draw = np.array([*LETTERS]), _generator("reverse", 3, test=False, seed=2)
    words = ["".join(letters[draw.integers(26, size=3)]) for _ in range(700)]
    reversed_words = [Problem(f"r:{word}=", word[::-1]) for word in words]
    for name, difficulty, expected in (
        ("addition", 10, one_by_one),
        ("reverse", 3, reversed_words),
    ):
        found = problems(name, difficulty, test=False, seed=2)
        of_training = [p for p in expected if not p.is_test]
        assert [*itertools.islice(found, len(of_training))] == of_training


def test_the_source_trains_on_nothing_that_a_task_asks(tmp_path) -> None:
    options = {"difficulties": [1, 2], "tokens": 30_000, "validation_tokens": 4_000}
    store = open_store(DataConfig(source="synthetic", options=options), tmp_path)
    seen = bytes(store.train).decode().split("\n")
    asked = {p.prompt for d in (1, 2) for p in distinct("addition", d, 1_000)}
    prompts = {line.partition("=")[0] + "=" for line in seen}
    assert len(prompts) > 1_000 and not prompts & asked
    lines = bytes(store.validation).decode().split("\n")[:-1]
    assert {line.partition("=")[0] + "=" for line in lines} <= asked


def test_a_task_or_difficulty_that_is_not_there_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="data.options.tasks = 'adition' .*did you mean 'addition'"
    ):
        check_task("data.options.tasks", "adition", 1, "")
    with pytest.raises(
        ConfigError, match="options.difficulty = 19: the task 'addition' has 1 to 18"
    ):
        check_task("options.task", "addition", 19, "options.difficulty")


def test_items_of_a_file_are_texts_or_tokens(tmp_path) -> None:
    file = tmp_path / "mine.jsonl"
    rows = [
        {"context": "a", "choices": ["b", [99]], "gold": 1},
        {"context": [97], "choices": ["b", "cc"], "gold": 0},
    ]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    items = read_items(file, "options.file")
    assert items[0] == Item("a", ("b", (99,)), 1)
    tokens = encoded(items, str.encode, 4, 256, "options.file")
    assert tokens == [((97,), ((98,), (99,))), ((97,), ((98,), (99, 99)))]
    with pytest.raises(ConfigError, match="item 2 has 3 tokens .* and the model reads 1"):
        encoded(items, str.encode, 1, 256, "options.file")
    with pytest.raises(ConfigError, match="item 1 has the token 98; the model knows 0 to 97"):
        encoded(items, str.encode, 4, 98, "options.file")
    assert len(read_items(file, "options.file", 1)) == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1: it is no JSON"),
        ("[]", "line 1: expected an object"),
        ('{"prompt": "a"}', "it has prompt; wanted are context, choices and gold"),
        ('{"context": "a", "choices": ["b"], "gold": 0}', "allowed are two or more"),
        ('{"context": "a", "choices": ["b", "c"], "gold": 2}', "gold = 2: allowed is 0 to 1"),
        ('{"prompt": "", "answer": "a"}', "prompt has ''"),
        ('{"prompt": "a", "answer": 5}', "answer has 5"),
        ("", "has no items"),
        (
            '{"prompt": "a", "answer": "b"}\n{"context": "a", "choices": ["b", "c"], "gold": 0}',
            "mixes choices and answers",
        ),
    ],
)
def test_a_line_that_is_no_item_is_named(tmp_path, line, said) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(line)
    with pytest.raises(ConfigError, match=said):
        read_items(file, "options.file")
    with pytest.raises(ConfigError, match="there is no such file"):
        read_items(tmp_path / "other.jsonl", "options.file")
