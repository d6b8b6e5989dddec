"""A message of a program is shown wherever its run is: it is no markup and drives no terminal."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import pytest

from scalinglab.cli import main
from scalinglab.launch_result import end_of_launch
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.text.printable import printable
from scalinglab.sweeps.config import LaunchConfig
from scalinglab.terminal import Screen
from scalinglab.watch import Watch


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def said(states, tmp_path, monkeypatch) -> Callable[[Callable[[], Any]], str]:
    """What an action tells a terminal, in a folder with a study whose runs all failed."""
    states.make("failed", tmp_path)
    monkeypatch.chdir(tmp_path)
    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "1000"), ("NO_COLOR", "")):
        monkeypatch.setenv(name, value)

    def told(action: Callable[[], Any]) -> str:
        terminal = Terminal()
        with contextlib.redirect_stdout(terminal):
            action()
        return terminal.getvalue()

    return told


def ended(command: str, code: int) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(command.split())
    assert exit_.value.code == code


def check(shown: str, message: str) -> None:
    assert printable(message) in shown
    for code in ("\x1b[2J", "\x07", "\u202e", "\ud800", "50%\r"):
        assert code not in shown


@pytest.mark.parametrize(
    "command", ["status study=tiny", "status", "status study=tiny why=true", "logs study=tiny"]
)
def test_a_verb_shows_a_failure_as_it_is(command: str, said, states) -> None:
    check(said(lambda: ended(command, 0)), states.failure)


def test_the_progress_of_a_launch_shows_it(said, states, tmp_path) -> None:
    def watch() -> None:
        with Watch(Screen(), tmp_path / "outputs", "tiny") as progress:
            progress._states = dict.fromkeys(progress._states, "running")
            progress.tick(at_once=True)

    check(said(watch), states.failure)


def test_the_end_of_a_launch_shows_it(said, states, tmp_path) -> None:
    def end() -> None:
        ended = end_of_launch(tmp_path / "outputs", "tiny", LaunchConfig("inline"))
        ended.show(Screen())
        assert ended.code == 1

    check(said(end), states.failure)


def test_a_failing_run_does_not_end_the_launch(said, states, monkeypatch) -> None:
    """Its message once was taken as markup, and healthy runs were interrupted."""

    def fail(claims: list[Claim], *_: Any) -> str:
        for claim in claims:
            claim.release("failed", ValueError(states.failure))
        return "failed"

    monkeypatch.setattr("scalinglab.scaling.engine.trainer.trainer.train", fail)
    shown = said(lambda: ended("launch study=tiny launch=inline", 1))
    check(shown, states.failure)
    assert "scaling logs study=tiny" in shown


def test_an_odd_folder_is_named_as_it_is(states, tmp_path, monkeypatch, capsys) -> None:
    states.make("planned", tmp_path)
    monkeypatch.chdir(tmp_path)
    odd = "out [bold]$(x) :smile: \x1b[2J\udcff"
    (tmp_path / "outputs").rename(tmp_path / odd)
    told = ""
    for command in ("collect study=tiny", "status study=other", "gc", "fit study=tiny", "doctor"):
        with pytest.raises(SystemExit) as ended:
            main([*command.split(), f"outputs={odd}"])
        assert ended.value.code in (0, 1, 2)
        told += "".join(capsys.readouterr())
    assert "\x1b" not in told and "\udcff" not in told
    assert "out [bold]$(x) :smile: \\x1b[2J\\udcff" in told
