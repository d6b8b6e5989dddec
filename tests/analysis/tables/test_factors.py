"""Columns in thousands, millions or billions are the counts they stand for."""

import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.tables.factors import read_formula


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("size * 1e6", ("size", 1e6)),
        ("size*1000", ("size", 1000.0)),
        ("a * b * 2", ("a * b", 2.0)),
        ("size", ("size", 1.0)),
        ("size * -1", None),
        ("size * tokens", None),
        ("other * 1e6", None),
        ("odd * 3", ("odd * 3", 1.0)),  # a column that is called so
    ],
)
def test_a_multiple_is_a_column_and_a_number(source, read):
    formula = read_formula(source, ["size", "a * b", "odd", "odd * 3"])
    assert (formula and formula.terms) == (read and (read,)) and not (formula and formula.function)


def test_a_table_in_millions_gives_the_law_of_the_counts(made_by):
    runs = made_by("chinchilla", noise=0.003)[0]
    small = pd.DataFrame({"m": runs.N / 1e6, "b": runs.D / 1e9, "loss": runs.loss})
    found = analysis.fit("chinchilla", small, columns={"N": "m * 1e6", "D": "b * 1e9"}, resamples=0)
    wanted = analysis.fit("chinchilla", runs, resamples=0)
    assert found.params == pytest.approx(wanted.params, rel=1e-6)
    assert "N = m * 1e6" in found.report() and not found.warnings
    assert found.predict(small)["loss"].to_numpy() == pytest.approx(wanted.predict(runs)["loss"])
    silent = analysis.fit("chinchilla", small, columns={"N": "m", "D": "b"}, resamples=0)
    assert any("N is at most 3000 parameters. If it is given in thou" in w for w in silent.warnings)
    ours = small.assign(fingerprint="a", N=small.m, D=small.b)
    assert not any(
        "given in thousands" in w for w in analysis.fit("chinchilla", ours, resamples=0).warnings
    )
