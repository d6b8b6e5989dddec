"""``scaling fit`` as a person uses it."""

from __future__ import annotations

import json

import pandas as pd
import pytest


def test_a_law_in_one_variable_is_told_which(run, tmp_path) -> None:
    n = [1e6, 4e6, 1.6e7, 6.4e7, 2.56e8, 1e9]
    table = pd.DataFrame({"params": n, "loss": [(1e13 / v) ** 0.076 for v in n]})
    table.to_csv(tmp_path / "power.csv", index=False)
    asked = ("fit", "law=power", f"data={tmp_path}/power.csv", "resamples=0")
    answer = json.loads(run(*asked, "x=params", "--json")[1])
    assert answer["parameters"]["a"]["value"] == pytest.approx(0.076)
    code, _, error = run(*asked)
    assert code == 2 and "x" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what is fitted: either data=FILE or study=NAME"),
        (["study=tiny", "data=points.csv"], "either data=FILE or study=NAME"),
        (["data=points.csv", "n_count=n_block"], "in a file columns.N=NAME does"),
        (["data=points.csv", "flops=palm"], "in a file columns.C=NAME does"),
        (["study=tiny", "unit=bits"], "unit = 'bits' is for data=FILE"),
        (["study=tiny", "law=none"], "law = 'none' is not one of: "),
        (["study=tiny", "delta=0"], "delta = 0.0: allowed is 1e-12 to 1,000,000,000,000"),
        (["study=tiny", "delta=1e300"], "delta = 1e+300: allowed is 1e-12 to"),
        (
            ["study=tiny", "delta=publishd"],
            "delta = 'publishd' is not one of: published, scaled; did",
        ),
        (["study=tiny", "priors=non"], "priors = 'non' is not one of: law, none; did you mean"),
        (["study=tiny", "delta=[1]"], "delta = [1]: expected"),
        (["study=tiny", "columns.loss=[a,b]"], "['a', 'b']: expected a string or a number"),
        (["study=tiny", "columns.loss=null"], "columns.loss = None: expected a string or a number"),
        (["study=tiny", "columns.loss.x=1"], "columns.loss = {'x': 1}: expected a string"),
    ],
)
def test_a_mistake_is_one_sentence(run, arguments, message) -> None:
    code, out, error = run("fit", *arguments)
    assert code == 2 and out == "" and message in error and error.count("\n") == 1
