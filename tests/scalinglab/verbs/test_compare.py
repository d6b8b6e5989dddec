"""``scaling compare`` as a person uses it."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare"], "name what is compared: study=NAME arm=KEY, studies=[A,B], or data=FILE"),
        (["compare", "study=tiny"], "arm is not set"),
        (["compare", "study=tiny", "arm=optimizer.nmae"], "did you mean 'optimizer.name'?"),
        (["compare", "study=tiny", "arm=schedule.kind"], "3 arms (constant, cosine, wsd)"),
        (["compare", "study=tiny", "arm=schedule.kind", "between=[wsd,sine]"], "'sine' has no"),
        (["compare", "studies=[tiny]"], "studies = ['tiny']: two different ones"),
        (["compare", "data=nope.csv", "arm=x"], "nope.csv: there is no such file"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr(run, arguments, message) -> None:
    code, _, error = run(*arguments)
    assert code == 2
    assert message in error and error.startswith("error: ") and "Traceback" not in error


def test_seeds_are_compared_by_their_pairs(run) -> None:
    code, out, _ = run("compare", "study=tiny", "arm=seed", "between=[0,1]", "resamples=20")
    assert code == 0 and "1 pairs" in out and "no law is fitted" in out
    said = json.loads(run("compare", "study=tiny", "arm=seed", "between=[0,1]", "--json")[1])
    assert said["fit"] is None and said["arms"] == ["0", "1"] and len(said["pairs"]) == 1
