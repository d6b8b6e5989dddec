"""Laws beside one another in the report of a study."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from scalinglab import analysis
from scalinglab.analysis.fitting.law_choice import times_beyond
from scalinglab.analysis.fitting.result import Result
from scalinglab.analysis.judgement.laws_compared import LawsCompared, laws_compared


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    """Seven budgets of six sizes, by Chinchilla's law."""
    C, ratio = np.meshgrid(np.geomspace(1e17, 1e20, 7), np.geomspace(2, 200, 6))
    N = np.sqrt(C / 6 / ratio).ravel()
    table = pd.DataFrame({"N": N, "D": C.ravel() / 6 / N})
    noise = 0.002 * np.random.default_rng(0).standard_normal(len(table))
    return table.assign(loss=(1.7 + 400 / N**0.34 + 1800 / table.D**0.37) * np.exp(noise))


@pytest.fixture(scope="module")
def compared(runs: pd.DataFrame) -> LawsCompared:
    """With a law that misses."""
    found = laws_compared(runs, fitted("kaplan_nd", runs))
    assert found is not None
    return found


def fitted(law: str, runs: pd.DataFrame) -> Result:
    return analysis.fit(law, runs, resamples=0)


def test_a_law_that_misses_is_told_from_one_that_does_not(compared) -> None:
    found = compared
    assert found.origins >= 3
    best = found.table["score"].idxmax()
    assert best in ("chinchilla", "skaling", "farseer") and "kaplan_nd" not in found.rivals
    assert "the law of this study, kaplan_nd, was" in found.sentence()
    assert f": choose {best} or auto (study.answer.law)" in found.sentence()
    shown, details = found.shown().set_index("law"), found.details().set_index("law")
    by_score = found.table["score"].sort_values(ascending=False)
    assert list(shown.index) == list(details.index) == list(by_score.index)
    verdicts = shown["against the best"]
    assert verdicts[best] == "best"
    assert verdicts["kaplan_nd"] == f"behind: ahead of {best} in 0% of draws"
    assert all(verdicts[rival].startswith(f"tie: ahead of {best} in ") for rival in found.rivals)
    assert shown.loc["chinchilla", "formula"] == "L = E + A / N^alpha + B / D^beta"
    assert details.loc["kaplan_nd", "reference"].startswith("Kaplan et al. 2020, arXiv:2001.08361")
    assert details.loc["kaplan_nd", "weight in an average"] == "0%"


def test_an_error_says_of_which_rows_its_fit_is(compared) -> None:
    table = compared.table.copy()
    assert (table["whole_error"] > 0).all()
    unwindowed = table[table["window"] == 0]
    assert np.allclose(unwindowed["whole_error"], unwindowed["error"])
    table.loc["kaplan_nd", ["window", "error", "whole_error"]] = 0.6, 0.02, 0.05
    told = replace(compared, table=table).sentence()
    assert (
        "kaplan_nd, was 2.00% off (fitted without the smallest 60% of the runs; fitted to all, as"
        " this answer is, 5.00% off)" in told
    )


def test_a_rejected_law_is_not_varied_over(compared) -> None:
    best = str(compared.table["score"].idxmax())
    assert compared.is_rejected("kaplan_nd") and not compared.is_rejected(best)
    assert not compared.is_rejected("power")  # was not compared
    other = compared.other_law("chinchilla", "kaplan_nd")
    assert other is not None and other != "chinchilla" and not compared.is_rejected(other)
    assert compared.other_law("chinchilla", best if best != "chinchilla" else "power")
    unknown = replace(compared, origins=0)
    assert unknown.other_law("chinchilla", "kaplan_nd") == "kaplan_nd"


@pytest.mark.usefixtures("early_fits")
def test_where_runs_cannot_tell_the_sentence_says_so(runs) -> None:
    rng = np.random.default_rng(1)
    noisy = runs.assign(loss=runs.loss * np.exp(0.05 * rng.standard_normal(len(runs))))
    found = laws_compared(noisy, fitted("chinchilla", noisy))
    assert found is not None and found.rivals
    assert "cannot tell" in found.sentence() and found.sentence().count("cannot tell") == 1
    few = laws_compared(runs[::7], fitted("chinchilla", runs[::7]))  # of one budget
    assert few is not None and not few.origins
    assert "too few budgets" in few.sentence()


def test_a_mixture_has_compared_its_laws_already(runs, monkeypatch) -> None:
    mixture = fitted("auto", runs)
    refit = "scalinglab.analysis.judgement.laws_compared.choose_laws"
    monkeypatch.setattr(refit, lambda *_: pytest.fail("fitted again"))
    compared = laws_compared(runs, mixture)
    assert compared is not None and compared.law == "auto"
    assert compared.table.equals(mixture.laws) and compared.origins == mixture.held_out_origins


def test_a_law_of_one_variable_is_not_compared(runs) -> None:
    assert (
        laws_compared(runs.assign(x=runs.N), analysis.fit("power", runs, x="N", resamples=0))
        is None
    )


def test_beyond_says_how_far_the_question_lies(runs, compared) -> None:
    top = float((6 * runs.N * runs.D).max())
    assert times_beyond(runs, [top, 30 * top]) == pytest.approx(30)
    assert times_beyond(runs, []) is None and times_beyond(runs.drop(columns="D"), [1e20]) is None
    far = laws_compared(runs, fitted("kaplan_nd", runs), beyond=40)
    assert far is not None
    assert not compared.table["score"].equals(far.table["score"])
