"""``scaling allocate`` as a person uses it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis


@pytest.fixture
def sweep(tmp_path: Path) -> str:
    """A file of IsoFLOP curves."""
    C, N = (g.ravel() for g in np.meshgrid(np.geomspace(1e18, 1e20, 4), np.geomspace(2e7, 5e9, 18)))
    D = C / (6 * N)
    table = pd.DataFrame({"N": N, "D": D, "loss": 1.7 + 400 / N**0.34 + 1800 / D**0.37})
    noise = 0.002 * np.random.default_rng(0).standard_normal(len(table))
    table["loss"] *= np.exp(noise)
    table.to_csv(tmp_path / "sweep.csv", index=False)
    return f"data={tmp_path}/sweep.csv"


def test_every_question_in_one_object(run, sweep) -> None:
    code, out, _ = run(
        "allocate",
        sweep,
        "budgets=[1e19,1e20]",
        "resamples=50",
        "losses=[2.6]",
        "splits=[[1e9,1e10]]",
        "approaches=true",
        "inference_tokens=1e9",
        "--json",
    )
    answer = json.loads(out)
    assert code == 0 and answer["cost"] == "6 N D and 1e+09 tokens of inference (FLOPs)"
    assert [row["C"] for row in answer["budgets"]] == [1e19, 1e20]
    assert answer["cheapest"][0]["target"] == 2.6
    assert answer["splits"][0]["left"] > 0
    assert len(answer["approaches"]["exponents"]) >= 2
    assert answer["exponents"]["N"]["exponent"] > 0.4


def test_the_same_in_words(run, sweep) -> None:
    code, out, _ = run(
        "allocate",
        sweep,
        "budgets=[1e19]",
        "resamples=50",
        "losses=[2.6]",
        "splits=[[1e9,1e10]]",
        "approaches=true",
    )
    assert code == 0
    for words in (
        "C = 6 N D (FLOPs)",
        "N* grows as C^0.5",
        "the cheapest training that reaches a loss",
        "excess loss of other splits",
        "2 IsoFLOP",
    ):
        assert words in out
    code, out, _ = run("allocate", sweep, "budgets=[1e25]", "resamples=0", "approaches=true")
    assert code == 0
    assert out.count("outside the fitted range") == 1  # N, D and their product: one sentence


def test_the_surface_is_fitted_once_whatever_its_columns_are_called(
    run, sweep, tmp_path, monkeypatch
) -> None:
    table = pd.read_csv(tmp_path / "sweep.csv").rename(columns={"N": "params", "D": "tokens"})
    table.assign(params=table["params"] / 1e6).to_csv(tmp_path / "named.csv", index=False)
    fit, fits = analysis.fit, []

    def counted(*args, **options):
        return fits.append(args[0]) or fit(*args, **options)

    monkeypatch.setattr("scalinglab.analysis.fit", counted)
    monkeypatch.setattr("scalinglab.analysis.decisions.approaches.fit", counted)
    code, out, _ = run(
        "allocate",
        f"data={tmp_path}/named.csv",
        "columns.N=params * 1e6",
        "columns.D=tokens",
        "budgets=[1e19]",
        "resamples=50",
        "approaches=true",
        "--json",
    )
    answer = json.loads(out)
    surface = answer["approaches"]["budgets"][-1]
    assert code == 0 and fits == ["chinchilla"] and surface["approach"] == "3 surface"
    assert surface["N_upper"] == answer["budgets"][0]["N_upper"]


def test_rows_that_are_excluded_are_so_in_every_approach(run, sweep, tmp_path) -> None:
    table = pd.read_csv(tmp_path / "sweep.csv")
    spoilt = table.assign(note="")
    spoilt.loc[len(table)] = {"N": 5e8, "D": 3e10, "loss": 1.2, "note": "other data"}
    spoilt.loc[len(table) + 1] = {"N": np.nan, "D": 3e10, "loss": 2.2, "note": ""}
    spoilt.to_csv(tmp_path / "spoilt.csv", index=False)
    asked = ("budgets=[1e19]", "resamples=20", "approaches=true", "--json")
    _, clean, _ = run("allocate", sweep, *asked)
    code, out, _ = run(
        "allocate", f"data={tmp_path}/spoilt.csv", *asked, "exclude=[note == 'other data']"
    )
    assert code == 0 and json.loads(out)["approaches"] == json.loads(clean)["approaches"]


def test_a_count_of_N_that_is_not_known_is_refused(run, sweep, tmp_path) -> None:
    outputs = f"outputs={tmp_path}"
    run("import", f"{tmp_path}/sweep.csv", "to=brought", "n_count=n_total", outputs)
    asked = ("allocate", "study=brought", outputs, "budgets=[1e19]", "resamples=0")
    code, out, _ = run(*asked)
    assert code == 0 and "C = 6 N D (FLOPs), N = n_total" in out
    assert run(*asked, "n_count=n_total")[1] == out
    code, _, error = run(*asked, "n_count=n_block")
    assert code == 2 and "have N = n_total alone" in error
    code, _, error = run("allocate", sweep, "budgets=[1e19]", "n_count=n_block")
    assert code == 2 and "in a file columns.N=NAME does" in error


def test_budgets_are_refused_in_few_words(run) -> None:
    code, out, _ = run("allocate", "study=tiny", "resamples=0", "approaches=true")
    refused = [line for line in out.splitlines() if "refused" in line]
    assert code == 0 and 2 <= len(refused) <= 5
    assert any("approach 2 IsoFLOP, " in line and "budgets (C = " in line for line in refused)


def test_tokens_and_steps_to_a_loss(run, sweep) -> None:
    asked = (
        "allocate",
        sweep,
        "budgets=[1e19]",
        "resamples=20",
        "losses=[2.6,2.5]",
        "sizes=[1e9,2e9]",
        "batch=5e5",
    )
    rows = json.loads(run(*asked, "--json")[1])["tokens_to_losses"]
    assert [(r["target"], r["N"]) for r in rows] == [(2.6, 1e9), (2.6, 2e9), (2.5, 1e9), (2.5, 2e9)]
    assert rows[0]["D"] > rows[1]["D"] and rows[0]["steps"] == pytest.approx(rows[0]["D"] / 5e5)
    assert "tokens on which a size reaches a loss" in run(*asked)[1]


def test_costs_come_from_the_runs(run, sweep, tmp_path) -> None:
    table = pd.read_csv(tmp_path / "sweep.csv")
    depth = np.cbrt(table["N"] / (12 * 64**2))
    table.assign(
        depth=depth, width=64 * depth, context=512, tokens_per_second=1e12 / table["N"]
    ).to_csv(tmp_path / "runs.csv", index=False)
    file = sweep.replace("sweep", "runs")
    code, out, _ = run(
        "allocate", file, "cost=attention", "budgets=[1e20]", "resamples=0", "--json"
    )
    assert code == 0 and json.loads(out)["cost"] == "6 (N + L d T) D, T = 512 (FLOPs)"
    code, out, _ = run("allocate", file, "cost=hours", "budgets=[1000]", "resamples=0")
    assert code == 0 and "(device-hours)" in out


def test_a_study_has_its_budgets(run) -> None:
    code, out, error = run("allocate", "study=tiny", "resamples=0", "--json")
    assert code == 0 and [row["C"] for row in json.loads(out)["budgets"]] == [1e9, 1e10]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cost=6ndd", "budgets=[1e19]"], "cost = '6ndd' is not one of: 6nd, attention, hours"),
        (["cost=hours", "budgets=[1]"], "the column 'tokens_per_second'"),
        (["cost=attention", "budgets=[1e19]"], "context is not set"),
        (["context=0", "budgets=[1e19]"], "context = 0: allowed is 1 or more"),
        (["sizes=[1e9]", "budgets=[1e19]"], "give all that are needed"),
        (["losses=[2.6]", "batch=1e6", "budgets=[1e19]"], "give all that are needed"),
        (["splits=[[1e9]]", "budgets=[1e19]"], "each is [N, D]"),
        (["losses=[1.1]", "budgets=[1e19]"], "no budget reaches a loss of 1.1"),
        (["approaches=true", "budgets=[1e19]", "budget=sweeep"], "need the column 'sweeep'"),
        (["budget=[1e19]"], "budget"),
        (["cost=hours"], "give device-hours"),
    ],
)
def test_a_mistake_is_one_sentence(run, sweep, arguments, message) -> None:
    code, out, error = run("allocate", sweep, "resamples=5", *arguments)
    assert code == 2 and out == "" and message in error and error.count("\n") == 1


def test_the_fit_is_saved_though_what_follows_is_refused(run, sweep, tmp_path) -> None:
    save = tmp_path / "fit.json"
    code, _, error = run(
        "allocate", sweep, "budgets=1e19", "resamples=0", "losses=[1.1]", f"save={save}"
    )
    assert code == 2 and "the law does not go so low" in error
    assert analysis.read_fit(save).params


def test_an_allocation_names_its_law_its_runs_and_the_warnings_of_its_fit(
    run, sweep, tmp_path
) -> None:
    table = pd.read_csv(tmp_path / "sweep.csv")
    table["recipe"] = np.where(np.arange(len(table)) % 2, "adamw", "muon")
    table.loc[3, "loss"] = 9.8
    table.to_csv(tmp_path / "mixed.csv", index=False)
    asked = ("allocate", f"data={tmp_path}/mixed.csv", "budgets=[1e19]", "resamples=20")
    code, out, _ = run(*asked)
    assert code == 0
    assert f"chinchilla fitted to {len(table)} runs; in parentheses 95% intervals" in out
    assert "these runs mix recipes (recipe)" in out and "far from the law" in out
    warnings = json.loads(run(*asked, "--json")[1])["warnings"]
    assert len(warnings) == len(set(warnings)) >= 2
