"""What a message advises can be pasted: into a shell, and into a notebook."""

from __future__ import annotations

import ast
import re
import shlex

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.exclusion import exclude_rows
from scalinglab.analysis.tables.labels import label_sentences
from scalinglab.answers.compare import CompareOptions
from scalinglab.answers.fit import FitOptions
from scalinglab.compose import compose
from scalinglab.options import read_options
from scalinglab.scaling.errors import UserError

_PYTHON = r"exclude=(\[(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|,)+\])"


def pasted(sentence: str) -> list[list[str]]:
    """The rules as a notebook and as a command read them."""
    rule = re.search(_PYTHON, sentence)
    shell = re.search(r"\(in a shell: (.*?)\)(?:,|$|;| leaves)", sentence)
    (word,) = shlex.split(shell[1] if shell else rule[0])
    return [ast.literal_eval(rule[1]), list(read_options(FitOptions, [word]).exclude)]


@pytest.mark.parametrize("column", ["corpus", "data set", "data.source"])
@pytest.mark.parametrize("value", ["c4", "a 0.5, b 0.5", "it's", 'say "no"', "[x]", "50%", "höher"])
def test_rows_of_another_label_are_left_out(column, value):
    table = pd.DataFrame({column: [value, "zzz"], "loss": [2.0, 3.0]})
    (sentence,) = label_sentences({column: [value, "zzz"]}, ["N", "D"])
    for rules in pasted(sentence):
        out, _ = exclude_rows(table, rules, response="loss", needed=["loss"], length=None)
        assert out.tolist() == [False, True]


@pytest.mark.parametrize(
    "text", ["*.py,*.md", "lang=='en'", 'lang == "en"', "costs > $5", 'say "it\'s", ok', "a\\b, c"]
)
def test_a_text_that_is_quoted_as_advised_is_taken_whole(text):
    with pytest.raises(UserError) as refused:
        compose(["data=folder", f"data.options.where={text}"])
    (word,) = shlex.split(str(refused.value).partition("shell's quotes: ")[2])
    assert compose(["data=folder", word])["data"]["options"]["where"] == text


def test_examples_in_refusals_are_commands():
    with pytest.raises(UserError) as refused:
        exclude_rows(pd.DataFrame({"D": [1.0]}), [3], response="D", needed=["D"], length=None)
    assert pasted(str(refused.value)) == [["unmeasured", "D < 1e9"]] * 2


@pytest.mark.parametrize("runs_of_b", [2, 4, 5])
def test_parameters_in_common_that_are_advised_are_enough(runs_of_b):
    N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e7, 1e9, 4), [1e9, 4e9, 2e10]))
    one = pd.DataFrame({"N": N, "D": D, "loss": 1.7 + 400 / N**0.34 + 1800 / D**0.37})
    few = one.iloc[:: 12 // runs_of_b][:runs_of_b]
    both = pd.concat([one.assign(arm="a"), few.assign(arm="b", loss=0.99 * few["loss"])])
    warning = analysis.compare_arms(both, resamples=0).warnings[-1]
    (word,) = shlex.split(re.search(r"shared=\[\S+\]", warning)[0])
    shared = read_options(CompareOptions, [word]).shared
    assert analysis.compare_arms(both, resamples=0, shared=shared).result is not None
