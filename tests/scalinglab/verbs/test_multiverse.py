"""``scaling multiverse`` as a person uses it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def points(tmp_path) -> str:
    N, D = (g.ravel() for g in np.meshgrid(np.geomspace(1e7, 1e9, 4), np.geomspace(1e9, 1e11, 4)))
    loss = 1.7 + 400 / N**0.34 + 1800 / D**0.37
    table = pd.DataFrame({"block": N, "total": N + 2e7, "tokens": D, "loss": loss})
    table.to_csv(tmp_path / "points.csv", index=False)
    return f"data={tmp_path}/points.csv"


def test_the_answer_and_its_picture(run, points, tmp_path) -> None:
    asked = (
        "multiverse",
        points,
        "columns.D=tokens",
        "n_columns=[block,total]",
        "target=N at C=1e20",
        f"to={tmp_path}/doubt.svg",
    )
    code, out, error = run(*asked, "--json")
    answer = json.loads(out)
    assert code == 0 and answer["smallest"] <= answer["largest"], error
    # Shares are of the ways that count N alike, as the range is.
    assert "convention" not in {row["choice"] for row in answer["shares"]}
    assert {way["convention"] for way in answer["ways"]} == {"block", "total"}
    assert (tmp_path / "doubt.svg").read_text().startswith("<svg")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["n_columns=[blokc]"], "the table has no column 'blokc'"),
        ([], "the table has no column 'N'"),
        (["columns.D=tokens", "n_columns=[block]", "target=N"], "names no point"),
        (["columns.D=tokens", "n_columns=[block]", "to=x.png"], "the figure is a .svg file"),
    ],
)
def test_a_mistake_is_one_sentence(run, points, arguments, message) -> None:
    target = [] if any(a.startswith("target=") for a in arguments) else ["target=alpha"]
    code, out, error = run("multiverse", points, *target, *arguments)
    assert code == 2 and out == "" and message in error and error.count("\n") == 1


def test_a_rule_that_no_run_meets_is_told(run, points) -> None:
    asked = ("multiverse", points, "columns.D=tokens", "n_columns=[block]", "target=alpha")
    for rule, told in (("tokens < 1", True), ("tokens < 2e9", False)):
        code, out, error = run(*asked, f"exclude=[{rule}]")
        assert code == 0, error
        assert ("meets none of" in out) == told and out.count("meets none of") <= 1


def test_rows_can_be_left_out_of_every_way(run, points, tmp_path) -> None:
    table = pd.read_csv(points.removeprefix("data="))
    table.loc[3, "loss"] *= 3  # a run that went wrong
    table["went"] = ["wrong" if k == 3 else "well" for k in range(len(table))]
    table.to_csv(tmp_path / "points.csv", index=False)
    asked = (
        "multiverse",
        points,
        "columns.D=tokens",
        "n_columns=[block]",
        "target=loss at N=1e10 D=1e12",
        "--json",
    )
    code, out, error = run(*asked, "exclude=[went == 'wrong']")
    without = json.loads(out)
    assert code == 0, error
    every = json.loads(run(*asked)[1])
    truth = 1.7 + 400 / 1e10**0.34 + 1800 / 1e12**0.37
    chinchilla = [
        [
            way["answer"]
            for way in answer["ways"]
            if way["law"] == "chinchilla" and way["exclusion"] == rows
        ]
        for answer, rows in ((without, "all runs"), (every, "with row 5"))
    ]
    assert (without["far_from_law"], every["far_from_law"]) == ("", "row 5")  # of the file
    assert every["largest"] == pytest.approx(without["largest"], rel=1e-3)
    assert np.ptp(chinchilla[0]) < np.ptp(chinchilla[1])
    assert chinchilla[0] == pytest.approx([truth] * len(chinchilla[0]), rel=0.01)
