"""``scaling next`` as a person uses it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from scalinglab import Table

LAW = "law=overtrained"  # ten runs leave it some freedom
TARGET = "target=loss at N=2000 D=8000 within 0.0001%"
GRID = ("grid.model.width=[8,16,24]", "grid.model.depth=1", "grid.tokens=[2560,10240]")


def test_chosen_runs_are_a_study_that_plan_accepts(run, own) -> None:
    # Without a goal no run is given up for another, whatever the machine makes them cost.
    open_end = TARGET.removesuffix(" within 0.0001%")
    asked = ("next", "study=tiny", open_end, "runs=2", "resamples=100", LAW, *GRID)
    code, out, error = run(*asked, "to=conf/study/more.yaml", "--json")
    assert code == 0, error
    answer = json.loads(out)
    assert len(answer["runs"]) == 2 and answer["then"] < answer["now"]
    code, out, error = run("plan", "study=more", f"outputs={own}/outputs")
    assert code == 0 and "1 diverged" in out and "2 planned" in out, error
    code, out, _ = run(*asked)
    assert code == 0 and "expected after these 2 runs: within" in out


@pytest.mark.long
def test_the_record_of_forecasts_widens_what_is_known_and_says_so(run, own, monkeypatch) -> None:
    monkeypatch.setattr(
        "scalinglab.analysis.forecasts.track.factor_of_record", lambda record, level: 2.0
    )
    asked = ("next", "study=tiny", TARGET, "runs=2", "resamples=100", LAW, *GRID)
    wide, plain = (json.loads(run(*asked, "--json", *more)[1]) for more in ((), ("widen=false",)))
    assert (wide["inflation"], plain["inflation"]) == (2, 1) and wide["now"] > 1.9 * plain["now"]
    said = "the interval of the target is widened 2x by the record of earlier forecasts"
    assert said in run(*asked)[1]
    code, out, _ = run("reach", *asked[1:3], "hours=1e-9", *asked[4:])
    assert code == 1 and said in out and f"known within {wide['now']:.2%}" in out


def test_candidates_that_nobody_named_stay_within_the_data(run, own) -> None:
    asked = ("next", "study=tiny", TARGET, "runs=1", "resamples=100", LAW)
    code, out, error = run(*asked)
    assert code == 0, error
    assert out.count("no candidate has more than 20,480 tokens: tokens = 40960 is 2.05") == 1
    assert "data.max_epochs = 2 allows" in out and "block" not in out
    assert json.loads(run(*asked, "--json")[1])["runs"][0]["D"] <= 20480
    assert "no candidate has more" not in run(*asked, "data.max_epochs=3")[1]
    code, _, error = run(*asked, "grid.tokens=[40960]")  # what is asked for is refused
    assert code == 2 and "data.max_epochs = 2 allows" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["next", "study=tiny", "target=los at C=1e9"], "loss at C=1e22 within 0.5%"),
        (["next", "study=nope", TARGET], "nope"),
        (["next", "study=tiny", TARGET, "hours=-1"], "hours = -1.0: allowed is above 0"),
        (
            ["next", "study=tiny", TARGET, "to=more.yaml"],
            "a study's file is scaling_conf/study/NAME.yaml",
        ),
        (["next", "study=tiny", TARGET, "grid.model.widht=[8]"], "did you mean"),
        (["next", "study=tiny"], "target is not set"),
        (["next", "study=tiny", TARGET, "flops=1e20"], "flops = 1e+20 is for data=FILE"),
    ],
)
def test_a_mistake_is_one_sentence(run, arguments, message) -> None:
    code, out, error = run(*arguments)
    assert code == 2 and message in error and error.count("\n") == 1


@pytest.fixture
def points(tmp_path):
    """A table made elsewhere, near Chinchilla's law."""
    draw = np.random.default_rng(0)
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e6, 1e8, 5), np.geomspace(1e8, 1e10, 5)))
    loss = (1.7 + 400 / N**0.34 + 1800 / D**0.37) * np.exp(0.003 * draw.standard_normal(25))
    table = pd.DataFrame({"params": N, "D": D, "loss": loss, "tokens_per_second": 1e12 / N})
    table.to_csv(tmp_path / "points.csv", index=False)
    return tmp_path / "points.csv"


def test_a_table_of_runs_is_told_at_which_sizes_and_tokens_more_tell_most(run, points) -> None:
    asked = ["next", f"data={points}", "columns.N=params", "target=loss at C=1e20", "resamples=60"]
    answer = json.loads(run(*asked, "runs=3", "flops=3e19", "--json")[1])
    assert answer["cost_unit"] == "FLOPs" and 1 <= len(answer["runs"]) <= 3
    assert answer["then"] < answer["now"] and answer["runs"][-1]["spent"] <= 3e19
    assert {"N", "D", "cost", "made"} <= set(answer["runs"][0]) and "run_id" not in answer["runs"][
        0
    ]
    code, out, error = run(*asked, "runs=1", "grid.N=[2e8]", "grid.D=[2e10]")
    assert code == 0 and "200,000,000" in out and "total FLOPs" in out, error
    code, out, error = run(*asked, "runs=1", "hours=1e9")
    assert code == 0 and "total hours" in out, error
    found = Table(str(points)).next(
        target="loss at C=1e20", columns={"N": "params"}, resamples=60, runs=1, law="chinchilla"
    )
    assert found.unit == "FLOPs" and len(found.choice.table) == 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("to=conf/study/x.yaml", "a study is written from a study"),
        ("data.max_epochs=3", "overrides the configuration of a study, and data=FILE has none"),
        ("grid.M=[1]", "grid.N=[...] and grid.D=[...]"),
        ("grid.N=large", "grid.N = large: allowed are numbers"),
        ("grid.D=[-1]", "grid.D = -1.0: allowed are positive numbers"),
        ("study=tiny", "either data=FILE or study=NAME"),
        ("hours=1", "has no column tokens_per_second"),
        ("rnus=3", "unknown option 'rnus'; did you mean 'runs'?"),
    ],
)
def test_a_mistake_about_a_table_is_one_sentence(run, points, argument, message) -> None:
    pd.read_csv(points).drop(columns="tokens_per_second").to_csv(points, index=False)
    asked = ["next", f"data={points}", "columns.N=params", "target=loss at C=1e20"]
    code, _, error = run(*asked, argument)
    assert code == 2 and message in error and error.count("\n") == 1


def test_the_warnings_of_the_fit_are_told(run, points) -> None:
    table = pd.read_csv(points)
    table["recipe"] = np.where(np.arange(len(table)) % 2, "adamw", "muon")
    table.to_csv(points, index=False)
    asked = ["next", f"data={points}", "columns.N=params", "target=loss at C=1e20", "resamples=60"]
    code, out, error = run(*asked, "runs=1", "flops=3e19")
    assert code == 0 and "! these runs mix recipes (recipe)" in out, error
