"""``scaling replay``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scalinglab.cli import main


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as end:
        main(["replay", *arguments])
    assert end.value.code == code
    out, error = capsys.readouterr()
    return out if code == 0 else error


def test_all_replays_are_listed(capsys) -> None:
    listed = answer(capsys)
    assert "datablations" in listed and "to fetch" in listed
    names = [r["name"] for r in json.loads(answer(capsys, "--json"))["replays"]]
    assert "scalebench-moe" in names


def test_one_is_answered_beside_what_was_printed(capsys, tmp_path: Path) -> None:
    figure = tmp_path / "figure.svg"
    found = json.loads(answer(capsys, "scalebench-parallel", f"to={figure}", "--json"))
    assert found["licence"] == "CC-BY-4.0" and found["answers"][0]["published"] == 0.99
    assert figure.read_text().startswith("<svg")


def test_of_a_table_that_may_not_be_passed_on_what_was_found_is_told(capsys) -> None:
    found = json.loads(answer(capsys, "chinchilla", "--json"))
    assert not found["shipped"] and len(found["answers"]) == 7 and found["recorded"] >= "2026"
    assert f"as found on {found['recorded']}" in answer(capsys, "chinchilla")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["scalebench"], "did you mean 'scalebench-moe'"),
        (["chinchilla", "to=x.svg"], "data=FOLDER"),
        (["data=here"], "data is of one replay"),
        (["chinchilla", "porian"], "one replay is run at a time"),
        (["datablations", "to=x.txt"], "the figure is a .svg"),
    ],
)
def test_mistakes_are_answered(capsys, arguments: list[str], says: str) -> None:
    assert says in answer(capsys, *arguments, code=2)
