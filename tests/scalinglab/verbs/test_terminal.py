"""What every verb shows on a terminal of 80, 100 and 140 columns, with colours and without."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from scalinglab.cli import VERBS, main
from scalinglab.terminal import Screen
from scalinglab.watch import Watch

pytestmark = pytest.mark.usefixtures("early_fits", "undrawn_figures")

WIDTHS = (80, 100, 140)
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
FIT = "study=tiny resamples=40"
COMMANDS = (
    "plan study=tiny launch=inline --schedules",
    "launch study=tiny launch=inline",
    "add study=tiny block=more grid.tokens=[2560]",
    "status study=tiny forecast=true",
    "status",
    "status study=tiny why=true",
    "logs study=tiny runs=done",
    "note study=tiny runs=done remember",
    "cancel study=tiny",
    "train model.depth=1 model.width=8 model.head_dim=8 model.context=16 data=markov"
    " data.options={vocab:8,successors:4,tokens:20001,validation_tokens:1025}"
    " data.validation_tokens=512 batch=4 tokens=640 schedule.warmup_tokens=64",
    "data data=markov data.options.tokens=20001 data.options.validation_tokens=1025",
    f"fit {FIT} save=fit.json",
    f"report {FIT} multiverse=false",
    "import points.csv",
    "compare study=tiny arm=schedule.kind between=[wsd,cosine] resamples=40",
    "judge study=tiny arm=schedule.kind baseline=wsd candidate=cosine at=1e9",
    "multiverse data=points.csv target=alpha",
    "compare-laws data=points.csv laws=[chinchilla,kaplan_nd]",
    f"allocate {FIT} budgets=[1e12,1e13] losses=[2.5] splits=[[1e4,1e6]] approaches=true",
    "allocate data=points.csv resamples=40 budgets=[1e7,1e8]",
    "tune data=sweep.csv N=[1e6] D=[1e8] resamples=40",
    "schedule study=tiny steps=40 resamples=0 refits=false",
    f"forecast {FIT}",
    "track",
    "next study=tiny outputs=brought target=alpha resamples=40 grid.model.width=[8]"
    " grid.tokens=[5120,10240] grid.seed=[2]",
    "reach study=tiny outputs=brought target=alpha_within_99% resamples=40 grid.model.width=[8]"
    " grid.tokens=[5120] grid.seed=[2]",
    "new fresh",
    "network model.depth=1 model.width=16 data=markov",
    "probe study=tiny probe=validation launch=inline",
    "export study=tiny",
    "parts",
    "parts kind=optimizer",
    "replay",
    "replay scalebench-parallel",
    "doctor",
    "collect study=tiny",
    "gc",
    "sync study=tiny outputs=before",
    "coordcheck widths=[16,32] depths=[1,2] steps=1 seeds=1",
)


def test_every_verb_is_looked_at() -> None:
    code = {"completion"}  # for a shell, which reads it as it stands
    assert {command.split()[0] for command in COMMANDS} | code == set(VERBS)


@contextmanager
def terminal(width: int) -> Iterator[tuple[io.TextIOWrapper, Callable[[], str]]]:
    """The program's side of a pseudo-terminal, and what was shown on it."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    shown: list[bytes] = []

    def read() -> None:
        try:
            while piece := os.read(outer, 65536):
                shown.append(piece)
        except OSError:  # the program's side is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    stream = os.fdopen(inner, "w", encoding="utf-8")

    def text() -> str:
        if not stream.closed:
            stream.close()
        reader.join()
        return b"".join(shown).decode().replace("\r\n", "\n")

    try:
        yield stream, text
    finally:
        text()
        os.close(outer)


class Told:
    """What a verb told its screen: to be told again at other widths."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def again(self, screen: Screen) -> None:
        for name, given, options in self.calls:
            getattr(screen, name)(*given, **options)

    def cells_of(self, columns: set[str]) -> set[str]:
        """Words in some columns of all tables, and the columns' names."""
        frames = [given[0] for name, given, _ in self.calls if name == "table"]
        cells = [str(v) for f in frames for c in f if str(c) in columns for v in (c, *f[c])]
        return {word for cell in cells for word in cell.split()}

    def headings_of_texts(self) -> set[str]:
        """Words of headings for which there is no room where their texts stand below rows."""
        return {
            word for _, _, options in self.calls for word in (options.get("text") or "").split()
        }


@pytest.fixture
def light(monkeypatch) -> None:
    """A terminal that can show colours, whatever runs the tests."""
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.fixture
def on_terminal(monkeypatch, light) -> Callable[..., tuple[int, str, Told]]:
    """Run a command line on a terminal: (exit code, what it shows, what it told)."""

    def run(arguments: list[str], width: int) -> tuple[int, str, Told]:
        told = Told()
        with monkeypatch.context() as patch, terminal(width) as (stream, text):
            for name in ("say", "table"):
                patch.setattr(Screen, name, _recorded(told, name))
            patch.setattr(sys, "stdout", stream)
            patch.setattr(sys, "stderr", stream)
            with pytest.raises(SystemExit) as ended:
                main(arguments)
            return ended.value.code or 0, text(), told

    return run


def _recorded(told: Told, name: str) -> Callable[..., None]:
    plain = getattr(Screen, name)

    def method(self: Screen, *given: Any, **options: Any) -> None:
        inside = sys._getframe(1).f_globals["__name__"] == Screen.__module__
        if not inside:  # a table says its title
            told.calls.append((name, given, options))
        plain(self, *given, **options)

    return method


def check(shown: str, width: int, told: Told, whole: str) -> None:
    """No line too long, no word cut, nothing missing but the columns that are said to be."""
    for line in shown.splitlines():
        assert cell_len(line) <= width or " " not in line.strip(), line
    left_out, alike, rest = without_what_was_left_out(shown)
    words = set(rest.split())
    assert words <= set(whole.split()), words - set(whole.split())
    words |= alike
    missing = set(whole.split()) - words
    allowed = told.cells_of(left_out) | told.headings_of_texts()
    assert missing <= allowed, missing - allowed


def without_what_was_left_out(shown: str) -> tuple[set[str], set[str], str]:
    """Columns that a text says were left out, words that it says of all rows, the rest of it."""
    notes = {"no room for columns (-v shows them): ": "", "the same in all rows: ": ""}
    rest, within = [], None
    for line in shown.splitlines():
        begun = next((note for note in notes if line.startswith(note)), None)
        within = begun or (within if line.startswith("  ") else None)
        if within:
            notes[within] += f"{line.removeprefix(within)}{', ' if not line.endswith(',') else ' '}"
        else:
            rest.append(line)
    left_out, alike = notes.values()
    names = {" ".join(name.split()) for name in left_out.split(",")}
    return names, {word for item in alike.split() for word in (item, item[:-1])}, "\n".join(rest)


@pytest.fixture(scope="module")
def place(finished: Path, states, tmp_path_factory) -> Path:
    """A copy of the finished study, and two tables."""
    folder = tmp_path_factory.mktemp("place") / "own"
    shutil.copytree(finished.parent, folder, symlinks=True)
    rows = [
        (n, d, 1.7 + 40 * n**-0.34 + 180 * d**-0.37)
        for n in (1e3, 3e3, 9e3, 27e3, 81e3)
        for d in (2e4, 6e4, 18e4)
    ]
    (folder / "points.csv").write_text(
        "N,D,loss\n" + "".join(f"{n:.0f},{d:.0f},{loss}\n" for n, d, loss in rows)
    )
    (folder / "sweep.csv").write_text(
        "N,D,lr,batch,loss\n"
        + "".join(
            f"{n},{d},{lr},{batch},"
            f"{3 + 0.1 * (lr / (n**-0.3 * d**0.1) - 1) ** 2 + 0.1 * (batch / d**0.5 - 1) ** 2}\n"
            for n in (1e6, 4e6)
            for d in (1e8, 4e8)
            for lr in (0.05, 0.1, 0.2)
            for batch in (5e3, 1e4, 2e4)
        )
    )
    for state, outputs in (("imported", "brought"), ("planned", "before")):
        states.make(state, folder / state)
        (folder / state / "outputs").rename(folder / outputs)
    return folder


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the numbers are judged elsewhere
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.split()[0])
def test_a_verb_shows_whole_words_at_any_width(command, place, on_terminal, monkeypatch) -> None:
    monkeypatch.chdir(place)
    arguments = [a.replace("_", " ") if a.startswith("target") else a for a in command.split()]
    code, shown, told = on_terminal(arguments, 80)
    assert code == 0, shown
    assert "Traceback" not in shown and told.calls
    everything = io.StringIO()
    told.again(Screen(everything))
    assert "\x1b" not in everything.getvalue()
    for width in WIDTHS:
        for plain in (False, True):
            monkeypatch.setenv("NO_COLOR", "1" if plain else "")
            with terminal(width) as (stream, text):
                told.again(Screen(stream))
                shown = text()
            assert "\x1b" not in (shown if plain else COLOUR.sub("", shown))
            check(COLOUR.sub("", shown), width, told, everything.getvalue())


def test_the_entry_point_on_a_terminal(place, light) -> None:
    """A process of its own: what it finds out of the terminal, and an interrupt from it."""
    command = [sys.executable, "-m", "scalinglab.cli"]
    with terminal(80) as (stream, text):
        status = subprocess.run(
            [*command, "status", "study=tiny"], stdout=stream, stderr=stream, cwd=place, check=False
        )
        shown = text()
    assert status.returncode == 0
    assert "\x1b[32mdone" in shown and "no room for columns" in shown
    assert all(cell_len(line) <= 80 for line in COLOUR.sub("", shown).splitlines())


def test_progress_is_drawn_within_the_terminal(states, tmp_path, light, monkeypatch) -> None:
    states.make("running", tmp_path)
    for width in WIDTHS:
        for plain in (False, True):
            monkeypatch.setenv("NO_COLOR", "1" if plain else "")
            with terminal(width) as (stream, text):
                with Watch(Screen(stream), tmp_path / "outputs", "tiny") as watch:
                    watch._states = dict.fromkeys(watch._states, "planned")  # so that all is told
                    watch.tick()
                shown = text()
            assert ("\x1b" in shown) is not plain
            lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "\n").splitlines()
            assert max(map(cell_len, lines), default=0) <= width
            assert plain or any("byidrl7k3k" in line for line in lines)


def test_a_terminal_that_becomes_narrower_keeps_no_line_of_the_picture(
    states, tmp_path, light
) -> None:
    """It wraps what was drawn: all rows that this takes are gone up and drawn anew."""
    states.make("running", tmp_path)
    with terminal(120) as (stream, text):
        with Watch(Screen(stream), tmp_path / "outputs", "tiny") as watch:
            drawn = list(watch._widths)
            rows = sum(max(1, -(-columns // 30)) for columns in drawn)
            fcntl.ioctl(stream, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 30, 0, 0))
            stream.write("NARROWER")
            watch._live.refresh()
            stream.write("DRAWN")
            assert max(watch._widths) <= 30
        shown = text()
    assert len(drawn) < rows
    assert shown.partition("NARROWER")[2].partition("DRAWN")[0].count("\x1b[1A") == rows - 1
