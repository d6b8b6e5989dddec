"""key=value arguments of the verbs that compose no run."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from scaling.config import ConfigError
from scaling.verbs.options import read_options


@dataclass(frozen=True)
class Options:
    names: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)


def test_lists_of_words_need_no_quotes():
    assert read_options(Options, ["names=[sp, mup]"]) == Options(names=["sp", "mup"])
    assert read_options(Options, ["names=[sp]", "sizes=[64,128]"]) == Options(["sp"], [64, 128])


def test_a_word_among_numbers_is_refused_by_its_place():
    with pytest.raises(ConfigError, match=r"sizes\[1\] = 'many': expected a whole number"):
        read_options(Options, ["sizes=[64,many]"])
