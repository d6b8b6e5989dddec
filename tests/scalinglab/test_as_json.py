"""What verbs print for programs: one object that any reader of JSON takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab.as_json import print_json

pytestmark = pytest.mark.usefixtures("early_fits", "few_variants", "undrawn_figures")


def strict(text: str) -> dict:
    """Read JSON as other languages do: NaN and Infinity are no numbers."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_are_plain_and_finite_or_null(capsys) -> None:
    table = pd.DataFrame({"N": np.array([1, 2]), "loss": [2.5, np.nan], "inside": [True, False]})
    print_json(
        {
            "table": table,
            "array": np.array([1.5, np.inf]),
            "one": np.float64(2.0),
            "count": np.int64(3),
            "yes": np.bool_(True),
            "none": None,
            "path": Path("a/b"),
            "words": ("x", "y"),
            "series": pd.Series([1.0, -np.inf]),
            "deep": {"a": {"b": np.nan}},
            "row": pd.Series({"n": 7, "text": "t"}).to_dict(),
        }
    )
    assert strict(capsys.readouterr().out) == {
        "table": [{"N": 1, "loss": 2.5, "inside": True}, {"N": 2, "loss": None, "inside": False}],
        "array": [1.5, None],
        "one": 2.0,
        "count": 3,
        "yes": True,
        "none": None,
        "path": "a/b",
        "words": ["x", "y"],
        "series": [1.0, None],
        "deep": {"a": {"b": None}},
        "row": {"n": 7, "text": "t"},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "study=tiny", "resamples=20", "json=true"],
        ["fit", "study=tiny", "resamples=0", "--json"],
        ["fit", "study=tiny", "law=lr_annealing", "resamples=0", "--json"],
        ["allocate", "study=tiny", "resamples=20", "--json"],
        ["report", "study=tiny", "resamples=20", "multiverse=false", "to=report.html", "json=true"],
    ],
)
def test_a_verb_prints_one_object_and_nothing_else(run, tmp_path, arguments) -> None:
    arguments = [a.replace("report.html", f"{tmp_path}/report.html") for a in arguments]
    code, out, error = run(*arguments)
    assert code == 0 and error == ""
    assert strict(out)


def test_the_object_has_what_the_words_say(run, tmp_path) -> None:
    fit = strict(run("fit", "study=tiny", "resamples=20", "--json")[1])
    assert fit["law"] == "chinchilla" and fit["points"] == 10
    assert fit["parameters"]["alpha"].keys() >= {"value", "lower", "upper", "identified"}
    page = ("report", "study=tiny", "resamples=20", f"to={tmp_path}/r.html")
    answer = strict(run(*page, "--json")[1])
    assert [row["C"] for row in answer["allocation"]["budgets"]] == [1e9, 1e10]
    assert answer["multiverse"]["of"] == "N at C=1e+10" and answer["multiverse"]["ways"]
    assert "How the answer varies with the analysis choices" in Path(answer["report"]).read_text()
    assert answer["report"] == f"{tmp_path}/r.html" and Path(answer["report"]).exists()


def test_a_mistake_stays_a_sentence_on_stderr(run) -> None:
    code, out, error = run("fit", "study=tyni", "--json")
    assert code == 2 and out == "" and error.startswith("error: ")
