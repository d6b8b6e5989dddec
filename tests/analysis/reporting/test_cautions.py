"""Contradictions that a report must tell beside its answer."""

from __future__ import annotations

import json
import shlex
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.reporting.cautions import bend, disagreement, others_apart
from scalinglab.analysis.tables.condition import rows_that_meet

REPORT = "scaling report study=mine"


def _approaches(*rows: tuple) -> SimpleNamespace:
    names = ["approach", "C", "N", "N_lower", "N_upper"]
    return SimpleNamespace(table=pd.DataFrame(rows, columns=names))


def test_approaches_whose_intervals_are_apart_disagree() -> None:
    apart = _approaches(
        ("1 envelope", 1e12, 86.6e3, 75.3e3, 103e3),
        ("3 surface", 1e12, 55.7e3, 42.6e3, 70e3),
        ("1 envelope", 1e13, 200e3, 100e3, 300e3),
        ("3 surface", 1e13, 216e3, 128e3, 313e3),
    )
    said = disagreement(apart)
    assert (
        "at C = 1e+12 N* is 86.6k (75.3k to 103k) by the envelope of final losses or 55.7k"
        " (42.6k to 70.0k) by the fitted law (surface)." in said
    )
    assert "1e+13" not in said
    assert disagreement(_approaches(*apart.table.to_numpy()[2:])) == ""
    assert disagreement(SimpleNamespace(table=apart.table.drop(columns="N_lower"))) == ""
    assert disagreement(None) == ""
    assert others_apart(apart, 1e12) == "86.6k by the envelope of final losses"
    assert others_apart(apart, 1e13) == "" and others_apart(None, 1e12) == ""


@pytest.fixture(scope="module")
def ladder() -> pd.DataFrame:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(1e9, 1e11, 6)))
    noise = np.exp(0.003 * np.random.default_rng(0).standard_normal(len(N)))
    runs = pd.DataFrame({"N": N, "D": D, "C": 6 * N * D})
    return runs.assign(loss=(1.7 + 400 / N**0.34 + 1800 / D**0.37) * noise)


def test_a_law_that_misses_all_of_the_smallest_runs_bends(ladder: pd.DataFrame) -> None:
    sound = analysis.fit("chinchilla", ladder, resamples=0, starts=4)
    assert bend(sound, ladder, REPORT) == ""
    smallest = ladder["C"] <= sorted(ladder["C"])[2] * 1.01
    missed = ladder.assign(loss=ladder["loss"].where(~smallest, 0.95 * ladder["loss"]))
    said = bend(sound, missed, REPORT)
    assert f"At the {smallest.sum()} runs of least compute (C <= " in said and "too high" in said
    *command, word = shlex.split(said.rpartition(f"without those {smallest.sum()}: ")[2])
    assert " ".join(command) == REPORT
    (condition,) = json.loads(word.removeprefix("exclude="))
    assert (rows_that_meet(ladder, condition) == smallest).all()  # and no other run
    one_of_them = ladder["C"] == ladder["C"].min()
    assert bend(sound, ladder.assign(loss=ladder["loss"].where(~one_of_them, 9.8)), REPORT) == ""
