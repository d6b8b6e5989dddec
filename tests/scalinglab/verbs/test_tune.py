"""``scaling tune`` as a person uses it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.analysis.studies.test_mixture import made as mixtures_made


@pytest.fixture
def sweep(tmp_path) -> str:
    N, D, lr, batch = (
        g.ravel()
        for g in np.meshgrid(
            [1e8, 3e8, 1e9],
            [3e9, 2e10, 1e11],
            2.0 ** np.arange(-13, -6),
            2.0 ** np.arange(16, 22),
        )
    )
    away = np.log(lr * N**0.7 / D**0.3 / 1.8) ** 2 + np.log(batch / D**0.57 / 0.6) ** 2
    pd.DataFrame({"N": N, "D": D, "lr": lr, "bs": batch, "loss": 2.5 + 0.01 * away}).to_csv(
        tmp_path / "sweep.csv", index=False
    )
    return f"data={tmp_path}/sweep.csv"


def test_a_planned_run_gets_a_pair_with_its_spread(run, sweep) -> None:
    asked = ("tune", sweep, "columns.batch=bs", "N=[1e9,1e10]", "D=[1e11,1e12]", "resamples=50")
    code, out, _ = run(*asked, "--json")
    answer = json.loads(out)
    assert code == 0 and [row["inside"] for row in answer["recommended"]] == [True, False]
    first = answer["recommended"][0]
    assert first["lr_lower"] < 1.8 * 1e9**-0.7 * 1e11**0.3 < first["lr_upper"]
    assert answer["regret"]["held_out_mean"] < answer["regret"]["constant_mean"]
    assert "left out of the fit in turn" in run(*asked)[1]
    assert answer["warnings"] == list(dict.fromkeys(answer["warnings"]))


def test_the_critical_batch_at_a_loss(run, tmp_path) -> None:
    loss = np.linspace(2.2, 4.5, 10)
    noise = np.exp(0.02 * np.random.default_rng(0).standard_normal(10))
    pd.DataFrame({"L": loss, "critical_batch": 2.1e8 / loss ** (1 / 0.21) * noise}).to_csv(
        tmp_path / "critical.csv", index=False
    )
    asked = (
        "tune",
        f"data={tmp_path}/critical.csv",
        "columns.loss=L",
        "losses=[2.5,3]",
        "resamples=50",
    )
    rows = json.loads(run(*asked, "--json")[1])["critical_batch"]
    assert rows[0]["critical_batch"] == pytest.approx(2.1e8 / 2.5 ** (1 / 0.21), rel=0.03)
    assert rows[1]["critical_batch_lower"] < rows[1]["critical_batch"] < rows[0]["critical_batch"]
    assert "batches are in the unit of the fitted ones" in run(*asked)[1]
    code, _, error = run(*asked, "law=critical_batch", "columns.batch=L")
    assert code == 2 and error.count("\n") == 1


def test_the_best_mixture_under_a_cap_of_epochs(run, tmp_path) -> None:
    mixtures_made(sizes=(4e4,)).rename(columns={"N": "params"}).to_csv(tmp_path / "mixtures.csv")
    asked = ["tune", f"data={tmp_path}/mixtures.csv", "mixture=true", "epochs=4", "resamples=2"]
    code, out, _ = run(*asked, "columns.N=params", "--json")
    answer = json.loads(out)
    shares = {row["pool"]: row for row in answer["shares"]}
    assert code == 0 and shares["b"]["cap"] == pytest.approx(0.2)
    assert shares["b"]["share"] == pytest.approx(0.2, abs=1e-3) and answer["epochs"] == 4
    assert "Best mixture for the mean over a, b" in run(*asked, "columns.N=params")[1]
    refused = ["tune", "study=mine", f"outputs={tmp_path}", "mixture=true", "columns.loss=loss.a"]
    code, out, error = run(*refused)
    assert code == 2 and out == "" and "targets=[...]" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["N=[1e9]", "D=[1e10]", "save=x.json"], "unknown key 'save'"),
        (["N=[1e9]"], "give one D for each N"),
        (["N=[1e9]", "D=[1e10]"], "lr_batch needs column 'batch'"),
        (["N=[1e9]", "D=[1e10]", "wihtin=1"], "did you mean 'within'"),
    ],
)
def test_a_mistake_is_one_sentence(run, sweep, arguments, message) -> None:
    code, out, error = run("tune", sweep, *arguments)
    assert code == 2 and out == "" and message in error and error.count("\n") == 1
