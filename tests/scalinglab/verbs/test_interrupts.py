"""Ctrl-C in the middle of what takes long: exit code 130, a plain sentence, nothing else."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from scalinglab.cli import main

pytestmark = pytest.mark.usefixtures("early_fits", "undrawn_figures")

OURS = tuple(str(Path(__file__).parents[3] / name) for name in ("scaling", "sweeps", "analysis"))

# Quick first, so that everything is imported; then so long that the interrupt meets it.
LONG = [
    ("fit study=tiny resamples=2", "fit study=tiny resamples=100000"),
    ("report study=tiny resamples=2 multiverse=false", "report study=tiny resamples=100000"),
    ("allocate study=tiny resamples=2", "allocate study=tiny resamples=100000"),
    (
        "schedule study=tiny steps=40 resamples=0 refits=false",
        "schedule study=tiny steps=4000 resamples=100000",
    ),
    (
        "coordcheck widths=[16,32] depths=[1,2] steps=1 seeds=1 parametrizations=[sp]",
        "coordcheck widths=[16,32] depths=[1,2] steps=10000",
    ),
    ("status study=tiny", "status study=tiny watch=true"),
]


@pytest.fixture(scope="module")
def place(states, tmp_path_factory) -> Path:
    """The study finished in one folder, running in another."""
    folder = tmp_path_factory.mktemp("interrupts")
    for state in ("done", "running"):
        (folder / state).mkdir()
        states.make(state, folder / state)
    return folder


@contextmanager
def interrupt(seconds: float) -> Iterator[None]:
    """Once after so many seconds, as Ctrl-C would, where our own code stands.

    Python loses an interrupt that comes while it tidies up objects, and half an import would stay
    for other tests.
    """

    def handle(_: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_filename.startswith(OURS):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.01)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(("quick", "long"), LONG, ids=lambda command: command.split()[0])
def test_an_interrupt_is_told_in_a_sentence(quick, long, place, monkeypatch, capsys) -> None:
    monkeypatch.chdir(place / ("running" if "watch" in long else "done"))
    with pytest.raises(SystemExit):
        main(quick.split())
    capsys.readouterr()
    with interrupt(0.05), pytest.raises(SystemExit) as ended:
        main(long.split())
    assert ended.value.code == 130
    printed = capsys.readouterr()
    if "no longer watching" in printed.out:  # a view is ended, and the state is shown once more
        assert "watch" in long and "running" in printed.out and not printed.err
        return
    assert printed.err == "interrupted; finished work is kept, run the same command again\n"
