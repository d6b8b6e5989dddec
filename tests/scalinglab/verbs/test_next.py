"""``scaling next`` as a person uses it."""

from __future__ import annotations

import json

import pytest

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
        (["next", "study=tiny", TARGET, "to=more.yaml"], "a study's file is conf/study/NAME.yaml"),
        (["next", "study=tiny", TARGET, "grid.model.widht=[8]"], "did you mean"),
        (["next", "study=tiny"], "target is not set"),
    ],
)
def test_a_mistake_is_one_sentence(run, arguments, message) -> None:
    code, out, error = run(*arguments)
    assert code == 2 and message in error and error.count("\n") == 1
