"""key=value arguments of the verbs that compose no run."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from scaling.config import ConfigError
from scaling.verbs.options import MissingOption, explain, option, read_options


@dataclass(frozen=True)
class Options:
    names: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def test_lists_of_words_need_no_quotes():
    assert read_options(Options, ["names=[sp, mup]"]) == Options(names=["sp", "mup"])
    assert read_options(Options, ["names=sp", "sizes=6.4e1"]) == Options(["sp"], [64])
    assert read_options(Options, ["names=[sp]", "sizes=[64,128]"]) == Options(["sp"], [64, 128])


@dataclass(frozen=True)
class Source:
    outputs: str = option("where all is", "outputs")


@dataclass(frozen=True)
class Asked(Source):
    study: str = option("which", "")
    sizes: list[int] = option("of models, in parameters", [64, 128])
    names: list[str] = option("some", [])
    model: dict[str, int] = option("any key", {"width": 3})
    deep: bool = option("all of it", False)
    a_name_that_is_long_enough: float | None = option("whatever", None)


def test_help_shows_own_options_first_each_as_it_is_written():
    assert explain(Asked, 46) == [
        "  study=...                 which",
        "  sizes=[64,128]            of models, in",
        "                            parameters",
        "  names=[...]               some",
        "  model.KEY=...             any key",
        "  deep=false                all of it",
        "  a_name_that_is_long_enough=...",
        "                            whatever",
        "  outputs=outputs           where all is",
    ]


def test_a_key_that_must_be_given_is_told_from_a_wrong_one():
    @dataclass(frozen=True)
    class Needs:
        study: str = option("which")

    with pytest.raises(MissingOption, match="study is not set"):
        read_options(Needs, [])
    with pytest.raises(ConfigError, match="did you mean 'study'"):
        read_options(Needs, ["stduy=x"])


def test_a_word_among_numbers_is_refused_by_its_place():
    with pytest.raises(ConfigError, match=r"sizes\[1\] = 'many': expected a whole number"):
        read_options(Options, ["sizes=[64,many]"])
