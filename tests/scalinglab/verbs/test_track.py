"""``scaling track`` as a person uses it."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["track", "study=tyni"], "there is no study 'tyni'"),
        (["track", "outputs=/proc/nowhere"], "there is no folder /proc/nowhere"),
    ],
)
def test_a_mistake_is_one_sentence_on_stderr(run, arguments, message) -> None:
    code, _, error = run(*arguments)
    assert code == 2
    assert message in error and error.startswith("error: ") and "Traceback" not in error


def test_nothing_was_kept_yet(run) -> None:
    code, out, _ = run("track", "study=tiny")
    assert code == 0 and out == "no forecast was kept yet: scaling forecast study=NAME makes some\n"
