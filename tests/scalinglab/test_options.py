"""key=value arguments of the verbs that compose no run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

import pytest

from scalinglab.options import (
    LEVEL,
    RESAMPLES,
    MissingOption,
    Within,
    explain,
    option,
    overrides,
    read_arguments,
    read_options,
    split_options,
)
from scalinglab.scaling.errors import ConfigError


@dataclass(frozen=True)
class Options:
    names: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def test_lists_of_words_need_no_quotes():
    assert read_options(Options, ["names=[sp, mup]"]) == Options(names=["sp", "mup"])
    assert read_options(Options, ["names=sp", "sizes=6.4e1"]) == Options(["sp"], [64])
    assert read_options(Options, ["names=[sp]", "sizes=[64,128]"]) == Options(["sp"], [64, 128])


def test_a_comma_within_quotes_separates_nothing():
    """As in a condition that a warning gives to be pasted."""
    asked = """names=["mixture != 'code 0.8, docs 0.2'",D < 1e9]"""
    assert read_options(Options, [asked]).names == ["mixture != 'code 0.8, docs 0.2'", "D < 1e9"]
    assert read_options(Options, ["names=[don't, x]"]).names == ["don't", "x"]


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


@dataclass(frozen=True)
class Ranged:
    study: str = option("which", "")
    resamples: int = option("refits", 10, RESAMPLES)
    level: float = option("of intervals", 0.95, LEVEL)
    widths: list[int] = option("of models", [8], Within(1, 4096))
    least: float | None = option("from", None, Within(2.5))
    grid: dict[str, int] = option("axes", {})


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("resamples=1e9", "resamples = 1000000000: allowed is 0 to 100,000"),
        ("resamples=-1", "resamples = -1: allowed is 0 to 100,000"),
        ("level=1", "level = 1.0: allowed is above 0 and below 1"),
        ("widths=[8,5000]", "widths[1] = 5000: allowed is 1 to 4,096"),
        ("least=2", "least = 2.0: allowed is 2.5 or more"),
    ],
)
def test_a_number_outside_its_range_is_refused_with_the_range(argument, message) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        read_options(Ranged, [argument])
    assert read_options(Ranged, ["resamples=0", "level=0.5", "least=null"]).least is None


@pytest.mark.parametrize("text", ["[" * 3000, "[" * 3000 + "]" * 3000, '{"a":' * 3000, "9" * 5000])
def test_a_value_that_nests_too_deep_or_is_too_long_is_a_text(text) -> None:
    with pytest.raises(ConfigError, match="resamples = .*: expected a (whole|finite) number"):
        read_options(Ranged, [f"resamples={text}"])


def test_overrides_of_a_study_are_not_options_of_the_same_first_word() -> None:
    mine = ["study=tiny", "grid.seed=[1]", "--json"]
    others = ["study.blocks.a.role=fit", "model.width=8", "resamples.x=1"]
    assert split_options(Ranged, [*mine, *others]) == (mine, others)


@dataclass(frozen=True)
class Composing(Asked):
    overrides: list[str] = overrides()


def test_a_mistyped_option_is_no_override() -> None:
    with pytest.raises(ConfigError, match="unknown option 'sizse'; did you mean 'sizes'"):
        read_arguments(Composing, ["study=tiny", "sizse=[64]"])
    others = ["seed=3", "+mine=big", "optimizer.nmae=x", "cluster=big", "mdoel=llama"]
    assert read_arguments(Composing, others).overrides == others


@dataclass(frozen=True)
class OfFile:
    study: str | None = option("a study", None)
    data: str | None = option("or a file", None, meant_by=("file",))
    budgets: list[float] = option("FLOPs", [], meant_by=("C",))


@dataclass(frozen=True)
class OfFileAndMore(OfFile):
    overrides: list[str] = overrides()


@pytest.mark.parametrize("cls", [OfFile, OfFileAndMore])
def test_a_bare_file_is_told_its_key(cls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for word in ("table.csv", "somewhere/runs", "folder", "a table.csv"):
        with pytest.raises(ConfigError, match="expected key=value, as in ") as refused:
            read_arguments(cls, [word])
        assert read_arguments(cls, shlex.split(str(refused.value).partition("as in ")[2])).data == (
            word
        )


def test_a_bare_word_may_be_the_name_of_a_study():
    with pytest.raises(ConfigError, match=re.escape("expected key=value, as in study=tiny")):
        read_arguments(OfFile, ["tiny"])


def test_a_verb_that_reads_studies_alone_says_how_a_file_becomes_one():
    with pytest.raises(ConfigError, match=re.escape("scaling import table.csv makes a study")):
        read_arguments(Asked, ["table.csv"])


def test_another_word_for_a_key_is_told_the_key():
    with pytest.raises(ConfigError, match=re.escape("'C'; did you mean budgets=1e20?")):
        read_arguments(OfFile, ["data=table.csv", "C=1e20"])
