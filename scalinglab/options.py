"""The options of a verb: a dataclass, read from ``key=value`` arguments as Hydra writes them."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import textwrap
import typing
from collections.abc import Container, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from scalinglab.option_typos import refuse_mistyped
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import Within
from scalinglab.scaling.read_options import from_dict

T = TypeVar("T")


class MissingOption(ConfigError):
    """A required option is not given."""


WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}  # of textwrap
_DEEPEST = 500  # brackets in a value
_LONGEST = 24  # columns for key=value in a help; a longer one has a line of its own


RESAMPLES = Within(0, 100_000)  # each is a fit: more would take days and tell no more
LEVEL = Within(0, 1, open=True)
SEED = Within(0, 2**63 - 1)
SELECTION = "a state, the beginning of an id, or a condition: 'N > 1e6 and seed == 1'"


def option(
    says: str,
    default: Any = MISSING,
    within: Within | None = None,
    *,
    among: Sequence[str] | None = None,
    bare: bool = False,
    meant_by: Sequence[str] = (),
) -> Any:
    """A field of a dataclass of options.

    Parameters
    ----------
    says : str
        Its text in ``--help``.
    default : object, optional
        An option without one is required.
    within : Within, optional
        The numbers that are allowed.
    among : sequence of str, optional
        The words that are allowed.
    bare : bool
        Whether arguments without a key are its values: ``scaling import FILE``.
    meant_by : sequence of str, optional
        Other keys by which people mean it: a call with one of them is told the right one.
    """
    metadata = {
        "says": says,
        "within": within,
        "among": among,
        "bare": bare,
        "meant_by": meant_by,
    }
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)  # so that options of verbs need no default
class Options:
    """The options of every verb.

    A verb whose options have the field `overrides`, a list of str, takes Hydra's overrides: all
    arguments that are not among its options.
    """

    json: bool = option("print one JSON object; --json says the same", False)


@dataclass(frozen=True, kw_only=True)
class OutputsOptions(Options):
    """Options of the verbs that read or write runs."""

    outputs: str = option("the folder of all runs", "outputs")

    @property
    def outputs_path(self) -> Path:
        """The outputs folder as an absolute path."""
        return Path(self.outputs).absolute()


@dataclass(frozen=True, kw_only=True)
class BootstrapOptions:
    """Options of the intervals of a fit."""

    resamples: int = option("bootstrap refits for the intervals; 0: no intervals", 1000, RESAMPLES)
    seed: int = option("bootstrap seed", 0, SEED)


@dataclass(frozen=True, kw_only=True)
class IntervalOptions(BootstrapOptions):
    """Options of intervals whose level can be chosen."""

    level: float = option("confidence level of the intervals", 0.95, LEVEL)


@dataclass(frozen=True, kw_only=True)
class VersionOptions:
    """Which runs are fitted together."""

    mix_fingerprints: bool = option(
        "fit runs of several versions of the training code together", False
    )


OVERRIDES = "overrides"


def overrides(
    says: str = "an override of the configuration: model.width=64 schedule=cosine",
) -> Any:
    """The field `overrides` of a dataclass of options."""
    return option(says, [])


def explain(cls: type, width: int) -> list[str]:
    """The lines of a help about a verb's options: for each ``key=default`` and its text.

    Required options stand first, then the verb's own, then inherited ones, the nearest class
    first; overrides and the options of every verb stand last.
    """
    hints = typing.get_type_hints(cls)
    last = (OVERRIDES, *Options.__dataclass_fields__)
    fields = sorted(nearest_first(cls), key=lambda f: (f.name in last, not _is_required(f)))
    texts = {_example(f, hints[f.name]): f.metadata.get("says", "") for f in fields}
    column = min(_LONGEST, max(map(len, texts))) + 4
    lines = []
    for key, says in texts.items():
        first, *more = textwrap.wrap(says, max(width - column, 20), **WHOLE_WORDS) or [""]
        head = f"  {key:<{column - 2}}"
        lines += [head + first] if len(key) + 4 <= column else [head, " " * column + first]
        lines += [" " * column + line for line in more]
    return [line.rstrip() for line in lines]


def nearest_first(cls: type) -> list[dataclasses.Field]:
    """The options of a dataclass: its own, then the inherited ones, the nearest class first."""
    return sorted(dataclasses.fields(cls), key=lambda f: _depth(cls, f.name))


def _depth(cls: type, name: str) -> int:
    """Number of classes above `cls` where an option is defined; most for options of all verbs."""
    if name in Options.__dataclass_fields__:
        return len(cls.__mro__)
    return next(
        k for k, c in enumerate(cls.__mro__) if name in c.__dict__.get("__annotations__", {})
    )


def _example(f: dataclasses.Field, hint: Any) -> str:
    """An option as one would write it: with its default, or dots where it has none."""
    if f.name == OVERRIDES:
        return "KEY=..."
    default = f.default if f.default_factory is MISSING else f.default_factory()
    if typing.get_origin(hint) is dict:
        return f"{f.name}.KEY=..."
    if default in (None, MISSING, "", []):
        return f"{f.name}=[...]" if default == [] else f"{f.name}=..."
    return f"{f.name}=" + json.dumps(default).replace(" ", "").replace('"', "")


def read_arguments(cls: type[T], arguments: Sequence[str]) -> T:
    """The options of a verb from all its arguments: keys, bare words and overrides.

    Raises
    ------
    ConfigError
        As `read_options`.
    """
    kind: type[Any] = cls  # a dataclass
    fields = {f.name: f for f in dataclasses.fields(kind)}
    words_of: dict[str, list[str]] = {}
    for name, f in fields.items():
        if f.metadata.get("bare"):
            words_of[name] = [a for a in arguments if "=" not in a and not a.startswith("--")]
            arguments = [a for a in arguments if a not in words_of[name]]
    if OVERRIDES in fields:
        arguments, words_of[OVERRIDES] = split_options(cls, arguments)
        for word in words_of[OVERRIDES]:
            if "data" in fields and "=" not in word and _names_file(word):
                raise ConfigError(_unreadable(word, fields))
        refuse_mistyped([name for name in fields if name != OVERRIDES], words_of[OVERRIDES])
    options = read_options(cls, arguments)
    for name, words in words_of.items():
        words = [*words, *getattr(options, name)]
        options = dataclasses.replace(options, **{name: words})  # type: ignore[type-var]
    return options


def read_options(cls: type[T], arguments: Sequence[str]) -> T:
    """Build the dataclass `cls` from ``a=1 b.c=x``, where ``--dry-run`` is ``dry_run=true``.

    Raises
    ------
    ConfigError
        On an argument without "=", an unknown key or a value of the wrong type.
    MissingOption
        If a required option is not given.
    """
    kind: type[Any] = cls  # a dataclass
    nested: dict[str, Any] = {}
    hints = typing.get_type_hints(cls)
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if key.startswith("--"):
            key, equals, text = key[2:].replace("-", "_"), "=", text if equals else "true"
        if not equals or not key:
            raise ConfigError(_unreadable(argument, hints))
        *groups, last = key.split(".")
        node = nested
        for group in groups:
            node = node.setdefault(group, {})
            if not isinstance(node, dict):
                raise ConfigError(f"{argument!r}: '{group}' was given a value before")
        node[last] = _value(text) if groups else _typed(text, hints.get(key))
    fields: Sequence[dataclasses.Field[Any]] = dataclasses.fields(kind)
    missing = [f.name for f in fields if _is_required(f) and f.name not in nested]
    if missing and set(nested) <= set(hints):  # an unknown key may be a missing one's typo
        raise MissingOption(f"{missing[0]} is not set")
    for f in dataclasses.fields(kind):
        for other in nested.keys() & f.metadata.get("meant_by", ()) - hints.keys():
            text = next(a for a in arguments if a.startswith(f"{other}=")).partition("=")[2]
            raise ConfigError(f"unknown key '{other}'; did you mean {_word(f.name, text)}?")
    options: T = from_dict(cls, nested)
    return options


def _unreadable(argument: str, names: Container[str]) -> str:
    """The sentence about an argument without a key: it may name a file or a study."""
    if not _names_file(argument):
        is_name = argument.isidentifier() and "study" in names
        meant = f", as in {_word('study', argument)}" if is_name else ""
    elif "data" in names:
        meant = f", as in {_word('data', argument)}"
    elif "study" in names:
        meant = (
            f", as in study=NAME; scaling import {shlex.quote(argument)} makes a study of a file"
        )
    else:
        meant = ""
    return f"cannot read {argument!r}: expected key=value{meant}"


def _word(key: str, text: str) -> str:
    """``key=text`` as a word of a command that a person copies."""
    return shlex.quote(f"{key}={text}")


def _names_file(argument: str) -> bool:
    """Whether an argument looks like a path, or is one."""
    return bool(Path(argument).suffix) or "/" in argument or os.path.exists(argument)


def _typed(text: str, hint: Any) -> Any:
    """The value of an option; a str stays as written, as a run's id may look like a number."""
    if hint in (str, str | None) and text != "null":
        return text
    if typing.get_origin(hint) is not list:
        return _value(text)
    if not text.startswith("["):
        return [_value(text)]  # budgets=1e12
    return _words(text) if hint == list[str] else _value(text)


def split_options(cls: type, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments that are options of `cls`, and the overrides of a study.

    ``grid.seed=[1]`` belongs to the option ``grid``, a group, but ``study.blocks...`` does not
    belong to the option ``study``, which is a name.
    """
    hints = {k: v for k, v in typing.get_type_hints(cls).items() if k != OVERRIDES}
    option_words = []
    for argument in arguments:
        first, dot, _ = argument.partition("=")[0].partition(".")
        if argument.startswith("--") or (
            first in hints and (not dot or typing.get_origin(hints[first]) is dict)
        ):
            option_words.append(argument)
    return option_words, [a for a in arguments if a not in option_words]


def _is_required(f: dataclasses.Field) -> bool:
    return f.default is MISSING and f.default_factory is MISSING


def _words(text: str) -> list[str]:
    """The words of ``[a,b]``, quoted or not; a list of JSON, as messages advise one, as it is."""
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    if isinstance(listed, list) and all(isinstance(word, str) for word in listed):
        return listed
    words = [word.strip() for word in _parts(text[1:].removesuffix("]"))]
    return [w[1:-1] if w[0] in "\"'" and w[0] == w[-1] else w for w in words if w]


def _parts(text: str) -> list[str]:
    """The texts between commas; a comma within quotes does not separate."""
    parts, quote = [""], ""
    for letter in text:
        if letter == "," and not quote:
            parts.append("")
            continue
        parts[-1] += letter
        if letter in "\"'":
            quote = "" if letter == quote else quote or letter
    return text.split(",") if quote else parts  # a single apostrophe quotes nothing


def _value(text: str) -> Any:
    """A JSON value where it is one (numbers, true, null, lists), a list of words, else the text."""
    if text.count("[") + text.count("{") > _DEEPEST:  # the JSON parser would overflow its stack
        return text
    try:
        return json.loads(text)
    except ValueError:  # not JSON, or a number with thousands of digits
        pass
    if text.startswith("[") and text.endswith("]"):
        return [_value(part.strip()) for part in _parts(text[1:-1])]
    try:
        return float(text)  # 1e15, inf
    except ValueError:
        return text
