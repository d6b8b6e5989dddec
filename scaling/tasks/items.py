"""Items of a task: a context and its choices, or a prompt and its answer.

A file has one JSON object a line: ``{"context": "...", "choices": ["...", "..."], "gold": 0}`` or
``{"prompt": "...", "answer": "..."}``, where ``answer`` may be a list of right ones. Texts are
encoded as the run's data is; lists of numbers are tokens.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.tasks.synthetic import distinct

Text = str | tuple[int, ...]  # a text, or tokens


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes
    ----------
    context : str or tuple of int
        What is given.
    choices : tuple
        Continuations: the choices, or the right answers.
    gold : int or None
        Which choice is right; None: every continuation is a right answer.
    """

    context: Text
    choices: tuple[Text, ...]
    gold: int | None = None


def read_items(file: Path, assignment: str, most: int | None = None) -> list[Item]:
    """The items of a file, at most so many.

    Raises
    ------
    ConfigError
        If it is not there, or a line of it is no item: it names the line.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise ConfigError(f"{assignment} = {str(file)!r}: there is no such file") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise ConfigError(f"{assignment} = {str(file)!r} is no file of lines of JSON") from error
    items: list[Item] = []
    for number, line in enumerate(lines, 1):
        if most is not None and len(items) == most:
            break
        if line.strip():
            items.append(_item(f"{assignment} = {str(file)!r}, line {number}", line))
    if not items:
        raise ConfigError(f"{assignment} = {str(file)!r} has no items")
    kinds = {item.gold is None for item in items}
    if len(kinds) > 1:
        raise ConfigError(
            f"{assignment} = {str(file)!r} mixes choices and answers: two files are wanted"
        )
    return items


def _item(where: str, line: str) -> Item:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: it is no JSON ({error})") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{where}: expected an object")
    keys = set(content)
    if {"context", "choices", "gold"} <= keys:
        choices = _texts(where, "choices", content["choices"])
        gold = content["gold"]
        if isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(choices):
            raise ConfigError(f"{where}: gold = {gold!r}: allowed is 0 to {len(choices) - 1}")
        if len(choices) < 2:
            raise ConfigError(f"{where}: choices has one entry; allowed are two or more")
        return Item(_text(where, "context", content["context"]), choices, gold)
    if {"prompt", "answer"} <= keys:
        answer = content["answer"]
        several = isinstance(answer, list) and not _is_tokens(answer)
        answers = _texts(where, "answer", answer if several else [answer])
        return Item(_text(where, "prompt", content["prompt"]), answers)
    raise ConfigError(
        f"{where}: it has {', '.join(sorted(keys)) or 'no keys'}; wanted are context, choices and "
        "gold, or prompt and answer"
    )


def _texts(where: str, key: str, values: Any) -> tuple[Text, ...]:
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{where}: {key} = {values!r}: expected a list")
    return tuple(_text(where, key, value) for value in values)


def _text(where: str, key: str, value: Any) -> Text:
    if isinstance(value, str) and value:
        return value
    if _is_tokens(value):
        return tuple(value)
    raise ConfigError(f"{where}: {key} has {value!r}: expected a text, or a list of tokens")


def _is_tokens(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(token, int) and not isinstance(token, bool) for token in value)
    )


def synthetic_items(task: str, difficulty: int, most: int) -> list[Item]:
    """Items of the test of a synthetic task, each after a line break and ended by one."""
    return [
        Item(f"\n{problem.prompt}", (f"{problem.answer}\n",))
        for problem in distinct(task, difficulty, most)
    ]


def encoded(
    items: Sequence[Item],
    encode: Callable[[str], Sequence[int]],
    context: int,
    vocab: int,
    assignment: str,
) -> list[tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]]:
    """Context and continuations of each item as tokens.

    Raises
    ------
    ConfigError
        If one is longer than the model reads, or has a token that the model does not know.
    """
    token_items = []
    for number, item in enumerate(items, 1):
        prompt, *choices = (
            tuple(encode(t)) if isinstance(t, str) else t for t in (item.context, *item.choices)
        )
        longest = len(prompt) + max(map(len, choices))
        if longest > context + 1:
            raise ConfigError(
                f"{assignment}: item {number} has {longest} tokens with its continuation, and the"
                f" model reads {context} (model.context)"
            )
        wrong = [t for text in (prompt, *choices) for t in text if not 0 <= t < vocab]
        if wrong:
            raise ConfigError(
                f"{assignment}: item {number} has the token {wrong[0]}; the model knows 0 to "
                f"{vocab - 1}"
            )
        token_items.append((prompt, tuple(choices)))
    return token_items
