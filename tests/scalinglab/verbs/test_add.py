"""``scaling add`` as a person uses it."""

from __future__ import annotations

import json

from scalinglab.sweeps.study.added import read_added


def test_a_study_under_another_name_gets_its_runs(run, own) -> None:
    """The overrides of a launch may name the study, too."""
    run("launch", "study=tiny", "study.name=mine", "launch=inline")  # all of its runs are there
    more = ("block=more", "grid.model.width=[24]", "grid.tokens=[2560]")
    code, out, error = run("add", "study=tiny", "study.name=mine", *more, "launch.measure=off")
    assert code == 0, error
    assert "added; scaling launch study=tiny study.name=mine launch.measure=off trains" in out
    assert list(read_added(own / "outputs", "mine")) == ["more"]
    assert not read_added(own / "outputs", "tiny")


def test_the_next_runs_of_one_extend_its_file(run, own) -> None:
    run("launch", "study=tiny", "study.name=mine", "launch=inline")
    asked = ("target=loss at N=2000 D=8000", "law=overtrained", "resamples=100", "runs=1")
    grid = ("grid.model.width=[24]", "grid.model.depth=1", "grid.tokens=[2560]")
    code, out, error = run(
        "next", "study=tiny", "study.name=mine", *asked, *grid, "to=conf/study/more.yaml", "--json"
    )
    assert code == 0, error
    assert "  - tiny\n" in (own / "conf" / "study" / "more.yaml").read_text()
    assert len(json.loads(out)["runs"]) == 1
