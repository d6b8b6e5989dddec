"""``scaling reach`` as a person uses it."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from scalinglab import study
from scalinglab.analysis.decisions import reach_target
from scalinglab.analysis.decisions.target import Target
from scalinglab.analysis.fitting.fit import fit
from scalinglab.analysis.fitting.result import Result

ASKED = (
    "reach",
    "study=tiny",
    "target=loss at N=2000 D=8000 within 0.0001%",
    "law=overtrained",
    "resamples=100",
    "grid.model.depth=1",
    "launch=inline",
)
ONE = ("grid.model.width=24", "grid.tokens=2560")
TWO = ("grid.model.width=16", "grid.tokens=[2560,3840]", "runs=1")  # of one shape: costs in order


@pytest.fixture(autouse=True)
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candidates are chosen one after the other, and never is the target known well enough.

    What a fit to eleven tiny runs knows and would choose, if anything, differs from machine to
    machine; how well a target is known and what is chosen is tested in analysis/decisions.
    """
    known = {"value": 2.0, "lower": 1.9, "upper": 2.1, "half_width": 0.05}
    monkeypatch.setattr(Target, "estimate", lambda self, result, *how: dict(known))

    def first(result, target, left, budget=0.0, most=None, **options) -> SimpleNamespace:
        return SimpleNamespace(table=left.head(most).assign(half_width=0.01, spent=0.0))

    monkeypatch.setattr(reach_target, "choose_next", first)


@pytest.mark.long
def test_it_trains_what_it_chose_and_goes_on_from_there(run, own) -> None:
    """By a number of a probe, of which the new run is asked, too."""
    assert run("probe", "study=tiny", "probe=rank", "launch=inline")[0] == 0
    asked = (*ASKED, *ONE, "columns.loss=probe.rank.stable")
    code, out, error = run(*asked, "--json")
    assert code == 1, error
    answer = json.loads(out)
    assert not answer["reached"] and answer["why"] == "no candidate is left"
    first, then = answer["history"]
    assert then["runs"] == first["runs"] + 1 and then["spent"] > first["spent"] == 0
    code, _, error = run(*asked)
    assert code == 2 and "every candidate is trained already" in error


@pytest.mark.long
def test_a_round_shows_what_is_new_and_only_the_first_the_whole_plan(run, own) -> None:
    code, out, error = run(*ASKED, *TWO)
    assert code == 1, error
    assert out.count("  C (causal)  ") == 1  # of the plan's table
    before, first, second = out.split("round ")
    said = "11 runs: loss at N=2000 D=8000 = 2 (1.9 to 2.1), known within 5.00%, wanted 0.0001%"
    assert before.startswith(said)
    for k, part in enumerate((first, second), 1):
        assert part.startswith(f"{k}: 1 run, ") and f"{11 + k} runs: loss at" in part
    assert "20,480" in first and "20,480" not in second and "done" in second
    assert out.rstrip().endswith("not reached: no candidate is left")


def test_the_warnings_of_its_fits_are_told_each_once(run, own, monkeypatch) -> None:
    """The first fit has one, the second the same and another."""
    fits: list[Result] = []

    def warned(*given, **options) -> Result:
        fits.append(fit(*given, **options))
        sentences = ("L0 is vague", f"of fit {len(fits)}")
        return replace(fits[-1], warnings=sentences)

    monkeypatch.setattr(reach_target, "fit", warned)
    code, out, _ = run(*ASKED, *ONE)
    assert code == 1 and out.count("! L0 is vague\n") == 1
    assert "! of fit 1\n" in out.partition("round 1")[0]
    assert "! of fit 2\n" in out.partition("round 1")[2]


def test_the_whole_plan_is_shown_again_where_it_is_asked_for(run, own, monkeypatch) -> None:
    monkeypatch.setattr(study, "launch", lambda *given: True)
    code, out, error = run(*ASKED, *TWO, "plan=true")
    assert (code, out.count("  C (causal)  ")) == (2, 1) and "did not train all runs" in error


def test_an_interrupt_ends_it_as_it_ends_a_launch(run, own, monkeypatch) -> None:
    monkeypatch.setattr(study, "launch", lambda *given: False)
    code, out, error = run(*ASKED, *ONE)
    assert code == 130 and error == ""
    assert out.rstrip().endswith("interrupted; all runs are saved, launch again to go on")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["target=E"], "end it with 'within 0.5%'"),
        (["target=E within 1%", "launch.detach=true"], "launch.detach = true: scaling reach waits"),
        (["target=E within 1%", "launch.watch=false"], "launch.watch = false: scaling reach waits"),
        (["target=E within 1%", "columns.loss=heat"], "no run has such a measured column"),
        (["target=E within 1%", "columns.N=n_total"], "in a study columns.loss alone can be set"),
        (["target=E within 1%", "to=conf/study/more.yaml"], "unknown key 'to'"),
    ],
)
def test_a_mistake_is_one_sentence(run, arguments, message) -> None:
    code, out, error = run("reach", "study=tiny", *arguments)
    assert code == 2 and message in error and error.count("\n") == 1
