"""What is printed for people: whole at any width; no message drives a terminal."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from scalinglab.scaling.text.printable import excerpt, one_line, printable
from scalinglab.table_lines import GrowingTable, table_lines, wrap
from scalinglab.terminal import Screen

NASTY = (
    "cannot read shard [/data/x]",
    "[bold]",
    "[/]",
    ":smile:",
    "[link=http://x]y[/link]",
    "{x!r} %s \\n",
    "a" * 5000,
    "$\\frac{a}{b}$",
    "<b>&amp;",
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch) -> Terminal:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


@pytest.mark.parametrize("text", NASTY)
def test_no_text_is_markup(text: str, terminal) -> None:
    for stream in (io.StringIO(), terminal):
        Screen(stream).say(text)
        Screen(stream).say(text, style="red")
        Screen(stream).table(pd.DataFrame({"run": [text], "note": [text]}), text="note")
        shown = " ".join(stream.getvalue().split())
        assert shown.count(text) == 4


def test_no_text_drives_the_terminal() -> None:
    driven = "\x1b[2J\x1b]0;title\x07 50%\r100% \x9b1m \u202e \ud800 \x00 \u2028"
    shown = printable(driven)
    assert shown.isprintable() and shown.isascii()
    assert shown.startswith("\\x1b[2J\\x1b]0;title\\x07 50%\\r100% \\x9b1m \\u202e \\ud800")
    assert printable("a\n\tb é 漢 μ") == "a\n    b é 漢 μ"
    assert one_line("a\nb") == "a\\nb"


def test_a_long_message_is_told_by_its_beginning() -> None:
    told = excerpt("word " * 1000)
    assert len(told) < 500 and "5,000 characters" in told and "wor ..." not in told
    assert excerpt("short [/]") == "short [/]"


@given(st.text(), st.integers(1, 60))
def test_lines_break_between_words_only(text: str, width: int) -> None:
    line = printable(text).replace("\n", " ")
    parts = wrap(line, width)
    assert " ".join(parts).split() == line.split()
    for part in parts:
        assert cell_len(part) <= width or len(part.split()) == 1


def test_a_value_stays_with_its_name() -> None:
    """`E =` once stood at the end of a line, and its value on the next."""
    for line in ("the loss ends at E = 0.651 of", "runs with N D >= 4.8e11 are", "of C < 2.3e+10"):
        for width in range(16, 40):
            for part in wrap(line, width):
                assert not part.endswith(("=", "<")) and not part.lstrip().startswith(("=", ">="))
    assert wrap("a = 12345678", 11) == ["a =", "  12345678"]  # where there is no room for both


FRAME = pd.DataFrame(
    {
        "run": ["abcd", "efgh"],
        "N": ["1,024", "12,345,678"],
        "seed": [0, 1],
        "state": ["done", "failed"],
        "loss": [1.25, np.nan],
        "note": ["", "a long sentence that stands below its row"],
    }
)


def plain(width: float, **options) -> list[str]:
    return [line.plain for line in table_lines(FRAME, width, text="note", **options)]


def test_a_table_that_fits_is_one_line_a_row() -> None:
    assert plain(np.inf) == [
        "run            N  seed  state   loss  note",
        "abcd       1,024     0  done    1.25",
        "efgh  12,345,678     1  failed   nan  a long sentence that stands below its row",
    ]


def test_a_text_that_does_not_fit_stands_below_its_row() -> None:
    assert plain(42)[1:] == [
        "abcd       1,024     0  done    1.25",
        "efgh  12,345,678     1  failed   nan",
        "    a long sentence that stands below its",
        "    row",
    ]


def test_columns_are_left_out_and_named_and_narrow_ones_come_back() -> None:
    assert plain(24, optional=("seed", "N", "absent")) == [
        "run   seed  state   loss",
        "abcd     0  done    1.25",
        "efgh     1  failed   nan",
        "    a long sentence that",
        "    stands below its row",
        "no room for columns (-v",
        "  shows them): N",
    ]
    assert plain(34, optional=("seed", "loss"))[-1] == "  them): seed"
    assert plain(34, optional=("seed", "loss"), notes=False)[-1] == "    below its row"


def test_what_all_rows_share_is_said_before_anything_is_left_out() -> None:
    frame = FRAME.assign(state="planned", loss="", schedule="wsd").drop(columns="note")
    lines = [line.plain for line in table_lines(frame, 30, optional=("N",))]
    assert lines == [
        "run            N  seed",
        "abcd       1,024     0",
        "efgh  12,345,678     1",
        "the same in all rows: state",
        "  planned, no loss, schedule",
        "  wsd",
    ]
    assert table_lines(frame, np.inf)[0].plain.split() == list(frame)


def test_columns_without_room_stand_in_tables_below_each_other() -> None:
    lines = [line.plain for line in table_lines(pd.concat([FRAME, FRAME]), 20, text="note")]
    first = ["run            N", *["abcd       1,024", "efgh  12,345,678"] * 2, ""]
    second = ["run   seed  state", *["abcd     0  done", "efgh     1  failed"] * 2, ""]
    note = ["    a long sentence", "    that stands", "    below its row"]
    assert lines == [*first, *second, "run   loss  note", *["abcd  1.25", "efgh   nan", *note] * 2]


def test_intervals_without_room_stand_below_their_values() -> None:
    frame = pd.DataFrame(
        {
            "C": ["10¹¹", "10¹³"],
            "N*": ["14.4k (12.6k to 18.1k)", "216k"],
            "loss": ["1.761 (1.749 to 1.778)", "1.057 (0.827 to 1.3)"],
        }
    )
    assert len(table_lines(frame, 60)) == 3
    assert [line.plain for line in table_lines(frame, 44, optional=("N*",))] == [
        "   C  N*                loss",
        "10¹¹  14.4k             1.761",
        "      (12.6k to 18.1k)  (1.749 to 1.778)",
        "10¹³  216k              1.057",
        "                        (0.827 to 1.3)",
    ]
    below = [line.plain for line in table_lines(frame.assign(note="of two"), 44, text="note")]
    assert below[1:4] == [
        "10¹¹  14.4k             1.761",
        "      (12.6k to 18.1k)  (1.749 to 1.778)",
        "    of two",
    ]


def test_few_rows_without_room_are_read_downwards_with_all_their_columns() -> None:
    assert plain(20, optional=("seed",))[:8] == [
        "run    abcd",
        "N      1,024",
        "seed   0",
        "state  done",
        "loss   1.25",
        "",
        "run    efgh",
        "N      12,345,678",
    ]


def test_a_file_has_no_width_whatever_the_shell_says(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    stream = io.StringIO()
    Screen(stream).say("word " * 40)
    assert Screen(stream).width == np.inf and len(stream.getvalue().splitlines()) == 1


def test_rows_told_one_by_one_stand_below_one_heading() -> None:
    stream = io.StringIO()
    table = GrowingTable(Screen(stream), FRAME.drop(columns="note"))
    for row in FRAME.to_dict("records"):
        table.add(row, row["note"])
    assert stream.getvalue().splitlines() == [
        "run            N  seed  state   loss",
        "abcd       1,024     0  done    1.25",
        "efgh  12,345,678     1  failed   nan  a long sentence that stands below its row",
    ]


def test_a_table_that_fits_no_width_becomes_blocks() -> None:
    assert plain(15)[:9] == [
        "run    abcd",
        "N      1,024",
        "seed   0",
        "state  done",
        "loss   1.25",
        "",
        "run    efgh",
        "N",
        "12,345,678",
    ]


def test_wide_characters_keep_the_columns_straight() -> None:
    frame = pd.DataFrame({"arm": ["漢字", "ab"], "x": ["1", "2"]})
    assert [cell_len(line.plain) for line in table_lines(frame, 80)] == [7, 7, 7]


@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "")])
def test_no_escape_codes_where_they_are_not_wanted(variable, terminal, monkeypatch) -> None:
    monkeypatch.setenv(*variable)
    screen = Screen(terminal)
    screen.say("x " * 60, style="red")
    screen.table(FRAME, text="note", title="t")
    assert "\x1b" not in terminal.getvalue() and "\r" not in terminal.getvalue()
    assert max(map(len, terminal.getvalue().splitlines())) <= 80
