"""Damaged commands, studies and files over all verbs: an answer or one sentence, never more."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from scalinglab import cli
from tests import mutated_commands as mutated
from tests.attempts import attempt, nothing_trained
from tests.damage import TABLES


def _wrong(commands: list[mutated.Command], finished: Path, below: Path) -> list[str]:
    """What was wrong with each command that ended as none should."""
    found = []
    with nothing_trained(), warnings.catch_warnings():
        for k, made in enumerate(commands):
            outcome = attempt(made, finished, below / str(k))
            if outcome.wrong is not None:
                found.append(f"{made.verb} {made.arguments!a:.500}: {outcome.wrong!a}")
    return found


def test_there_are_good_commands_of_every_verb() -> None:
    assert set(mutated.GOOD) == set(cli.VERBS)


@pytest.mark.long
def test_damaged_commands_end_with_an_answer_or_a_sentence(finished, tmp_path, capfd) -> None:
    assert not _wrong([mutated.command(seed) for seed in range(24)], finished, tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_thousand_damaged_commands(finished, tmp_path, capfd) -> None:
    commands = [mutated.command(seed) for seed in range(30_000, 31_000)]
    assert not _wrong(commands, finished, tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_what_is_damaged_was_good(finished, tmp_path) -> None:
    """Else every damage would be refused for another reason."""
    for verb, commands in mutated.GOOD.items():
        for k, arguments in enumerate(commands):
            made = mutated.Command(verb, arguments, dict(TABLES))
            with nothing_trained():
                outcome = attempt(made, finished, tmp_path / f"{verb}{k}")
            # So few runs tell too little to choose the next ones by: that is found last of all.
            good = {"train": (130,), "reach": (0, 1), "next": (0, 2)}.get(verb, (0,))
            assert outcome.code != 2 or "there is nothing to choose by" in outcome.stderr, outcome
            assert outcome.wrong is None and outcome.code in good, (verb, arguments, outcome)


@pytest.mark.parametrize("verb", ["fit", "next", "status", "plan"])
def test_a_typo_beside_good_arguments_is_never_passed_over(verb, finished, tmp_path) -> None:
    made = mutated.Command(verb, [*mutated.GOOD[verb][0], "wdith=8"], dict(TABLES))
    with nothing_trained():
        outcome = attempt(made, finished, tmp_path / "own")
    assert outcome.code == 2 and "unknown key 'wdith'" in outcome.stderr


@pytest.mark.parametrize("text", ["a" * 50_000, "first\nsecond", "\x1b[2J", "\ud800"])
def test_an_error_is_one_short_line_whatever_was_given(text, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        cli.main(["status", f"study={text}"])
    line = capsys.readouterr().err
    assert ended.value.code == 2 and line.startswith("error: ")
    assert line.count("\n") == 1 and len(line) < 1500 and "\x1b" not in line
