"""A question that is sealed before its runs are made."""

from __future__ import annotations

import pytest

from scalinglab.analysis.transfer.judge import judge
from scalinglab.analysis.transfer.seal import write_seal
from scalinglab.scaling.errors import UserError
from tests.analysis.transfer.ladders import ladder, question


def test_the_sealed_question_is_recognised(tmp_path) -> None:
    path = tmp_path / "new" / "seal.json"
    sealed = write_seal(path, question(), None)
    check = judge(ladder(), question(), seal=path).seal
    assert check is not None and check.matched and check.hash == sealed["hash"]
    assert "all runs of the verdict ended later" in check.in_words()


def test_another_question_does_not_match(tmp_path) -> None:
    write_seal(tmp_path / "seal.json", question(margin=0.05), None)
    check = judge(ladder(), question(), seal=tmp_path / "seal.json").seal
    assert check is not None and not check.matched
    assert check.differences == ("margin was 0.05 and is 0.02",)


def test_runs_that_were_known_are_counted(tmp_path) -> None:
    runs = ladder()
    write_seal(tmp_path / "seal.json", question(), runs[runs["seed"] <= 2])
    check = judge(runs, question(), seal=tmp_path / "seal.json").seal
    assert check is not None and check.known == 8 and not check.matched


def test_a_seal_is_neither_changed_nor_overwritten(tmp_path) -> None:
    path = tmp_path / "seal.json"
    write_seal(path, question(), None)
    with pytest.raises(UserError, match="never overwritten"):
        write_seal(path, question(), None)
    path.write_text(path.read_text().replace('"margin":0.02', '"margin":0.03'))
    with pytest.raises(UserError, match="its hash differs"):
        judge(ladder(), question(), seal=path)
