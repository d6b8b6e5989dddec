"""The bar of a long answer: on a terminal and in a cell, and nowhere else."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from scalinglab import answer_bar as bars
from scalinglab.analysis.progress import steps
from scalinglab.answer_bar import answer_bar, answer_lines, with_bar
from scalinglab.cell_bar import CellBar
from scalinglab.cli import main


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@with_bar
def answered(seconds: float = 0.0) -> int:
    with steps(2) as begin:
        begin("law")
        begin("page <1>")
        time.sleep(seconds)
        begin("page <2>")
    return 42


@pytest.fixture
def at_once(monkeypatch) -> None:
    monkeypatch.setattr(bars, "_PATIENCE", 0.0)
    monkeypatch.setattr(bars, "_CELL_SECONDS", 0.0)


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def test_a_redirected_answer_says_how_far_it_is_if_asked(monkeypatch, capsys) -> None:
    monkeypatch.setattr(bars, "_LINE_SECONDS", 0.0)
    with answer_lines():
        assert answered() == 42
    shown = capsys.readouterr()
    first, *between, last = shown.err.splitlines()
    assert shown.out == "" and first == "0% begun" and last.startswith("100% done after ")
    assert any(line.startswith("50% page <1>") for line in between)


@pytest.mark.usefixtures("at_once")
def test_a_terminal_shows_the_share_and_the_part(terminal, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    assert answered(0.6) == 42
    shown = terminal.getvalue()
    assert "50%" in shown and "page <1>" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor is back


def test_a_short_answer_shows_nothing(terminal, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    assert answered() == 42 and "law" not in terminal.getvalue()


@pytest.mark.usefixtures("at_once")
def test_a_pipe_and_a_terminal_that_cannot_redraw_get_nothing(terminal, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "dumb")
    answered(0.1)
    assert terminal.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    answered()
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.usefixtures("at_once")
def test_a_cell_has_one_bar_and_is_rid_of_it(monkeypatch) -> None:
    pages: list[str] = []

    class Handle:
        def update(self, page: dict[str, str], raw: bool) -> None:
            pages.append(page["text/html"])

    def display(page: dict[str, str], **options: object) -> Handle:
        pages.append(page["text/html"])
        return Handle()

    monkeypatch.setattr("scalinglab.cell_bar.cell_bar", lambda: CellBar(display))
    with answer_bar():
        answered()  # an answer within an answer
    assert [page.count("<progress") for page in pages] == [1, 1, 1, 0]
    assert 'value="0.5000"' in pages[1] and "page &lt;1&gt;" in pages[1] and pages[-1] == ""


@pytest.mark.usefixtures("at_once")
def test_the_bar_goes_when_the_answer_is_refused(terminal, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(ValueError), answer_bar():
        time.sleep(0.3)
        raise ValueError
    assert terminal.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # its line is empty again


@pytest.mark.parametrize(("flags", "bars_shown"), [([], 1), (["-q"], 0)])
def test_a_quiet_command_has_no_bar(flags, bars_shown, terminal, monkeypatch) -> None:
    shown: list[int] = []

    @contextmanager
    def counted() -> Iterator[None]:
        shown.append(1)
        yield

    monkeypatch.setattr(bars, "answer_bar", counted)
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(SystemExit) as ended:
        main(["replay", *flags])
    assert ended.value.code == 0 and len(shown) == bars_shown
