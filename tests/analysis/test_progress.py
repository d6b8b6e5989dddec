"""How far an answer is: one share from 0 to 1, whatever parts lie in parts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from scalinglab import analysis
from scalinglab.analysis.judgement.multiverse import Choices, fit_multiverse
from scalinglab.analysis.progress import each, is_listened_to, listening, steps, tell
from tests.analysis.test_shown import surface

Told = list[tuple[float, str]]


@pytest.fixture
def told() -> Iterator[Told]:
    heard: Told = []
    with listening(lambda share, part: heard.append((share, part))):
        yield heard


def test_parts_in_parts_have_their_share(told: Told) -> None:
    with steps(2) as begin:
        begin("law")
        tell(1.0)  # of one of several pieces of work: it says nothing of the part
        for _ in each("ab", "laws"):
            with steps(1, inside=True) as fit:
                fit("fit")
                tell(0.5)
        begin("page")
    shares = [0, 0, 0, 0.125, 0.25, 0.25, 0.375, 0.5]
    texts = ["law", *["law: laws 1 of 2"] * 3, *["law: laws 2 of 2"] * 3, "page"]
    assert told == list(zip(shares, texts, strict=True))


def test_a_part_that_fails_ends(told: Told) -> None:
    for _ in each([0, 1], "variants"):
        try:
            with steps(4) as begin:
                begin("fit")
                raise ValueError
        except ValueError:
            pass
    assert [text for _, text in told] == [
        "variants 1 of 2",
        "variants 1 of 2: fit",
        "variants 2 of 2",
        "variants 2 of 2: fit",
    ]


def test_threads_beside_one_another_tell_nothing(told: Told) -> None:
    thread = threading.Thread(target=copy_context().run, args=(lambda: tell(0.5),))
    thread.start()
    thread.join()
    assert told == []


def test_nobody_listens_by_default() -> None:
    assert not is_listened_to() and list(each([1, 2], "numbers")) == [1, 2]


@pytest.mark.usefixtures("early_fits")
def test_a_fit_and_a_multiverse_tell_how_far_they_are(told: Told) -> None:
    runs = surface()
    analysis.fit("chinchilla", runs, resamples=20)
    begun = {text: share for share, text in reversed(told)}  # the first share of each part
    parts = ["best fit", "resamples", "refits without parts", "checks"]
    assert [begun[part] for part in parts] == [0, 0.25, 0.5, 0.75]
    assert all(begun[text] <= share <= begun[text] + 0.25 for share, text in told)
    told.clear()
    choices = Choices({"N": runs}, objectives={"squares": {"objective": "least_squares"}})
    fit_multiverse(choices, lambda result: result.params["alpha"], "alpha", starts=4)
    assert {text.partition(":")[0] for _, text in told} == {"groups of variants 1 of 1"}
