"""Every verb in every state of a study: its answer, or one sentence that says what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scalinglab.cli import VERBS, main

pytestmark = pytest.mark.usefixtures("early_fits", "blank_figures")

# "missing": no outputs folder; "empty": nothing in it; "gone": somebody removed the runs' folders;
# of the others see `conftest.States`.
STATES = (
    "missing",
    "empty",
    "gone",
    "planned",
    "running",
    "half",
    "failed",
    "stopped",
    "diverged",
    "imported",
    "done",
)
NOWHERE = ("missing", "empty")
UNMEASURED = ("gone", "planned", "running", "failed", "stopped", "diverged")

# What a sentence says to do where there is no answer, by state.
WAYS = {
    "missing": "scaling launch",
    "empty": "scaling launch study=",
    "gone": "scaling launch study=tiny trains",
    "planned": "scaling launch study=tiny trains",
    "running": "watch=true",
    "failed": "why=true",
    "stopped": "take_up=stopped",
    "diverged": "optimizer.lr",
    "imported": "import",
}
# A command and the states in which it is refused for lack of runs.
NEEDS_A_STUDY = NOWHERE
NEEDS_A_PLAN = (*NOWHERE, "imported")
NEEDS_A_FIT = (*NOWHERE, *UNMEASURED)
NEEDS_CURVES = (*NOWHERE, *UNMEASURED, "imported")
COMMANDS: dict[str, tuple[str, ...]] = {
    "status": NEEDS_A_STUDY,
    "status study=tiny": NEEDS_A_PLAN,
    "status study=tiny why=true": NEEDS_A_PLAN,
    "status study=tiny forecast=true": NEEDS_A_PLAN,
    "logs study=tiny": NEEDS_A_PLAN,
    "note study=tiny json=true": NEEDS_A_PLAN,
    "cancel study=tiny": NEEDS_A_PLAN,
    "collect study=tiny": NEEDS_A_PLAN,
    "export study=tiny": (*NEEDS_A_PLAN, "gone", *UNMEASURED[1:]),
    "probe study=tiny probe=validation launch=inline": (*NEEDS_A_PLAN, "gone", *UNMEASURED[1:]),
    "gc": ("missing",),
    "parts json=true": (),
    "fit study=tiny resamples=0 json=true": NEEDS_A_FIT,
    "fit study=tiny law=lr_annealing resamples=0": NEEDS_CURVES,
    "report study=tiny resamples=0 multiverse=false json=true": NEEDS_A_FIT,
    "allocate study=tiny resamples=0 budgets=[1e9] json=true": NEEDS_A_FIT,
    "multiverse study=tiny target=alpha json=true": NEEDS_A_FIT,
    "compare-laws study=tiny json=true": NEEDS_A_FIT,
    "next study=tiny target=alpha resamples=30 json=true": NEEDS_A_FIT,
    "reach study=tiny resamples=30 json=true": NEEDS_A_FIT,
    "tune study=tiny N=[1e3] D=[1e4] resamples=0": NEEDS_A_FIT,
    "schedule study=tiny steps=40 resamples=0 refits=false json=true": NEEDS_CURVES,
    "forecast study=tiny resamples=0 json=true": NEEDS_A_STUDY,
    "track study=tiny json=true": NEEDS_A_STUDY,
    "compare study=tiny arm=seed between=[0,1] resamples=0 json=true": (
        *NOWHERE,
        "gone",
        "planned",
        "running",
        "failed",
    ),
    "judge study=tiny arm=schedule.kind baseline=wsd candidate=cosine at=1e9 json=true": (
        *NOWHERE,
        "gone",
        "planned",
        "running",
        "failed",
    ),
    "sync study=tiny": NEEDS_A_PLAN,
    "plan study=tiny launch=inline": (),
}
ABOUT_NO_STUDY = {
    "new",
    "completion",
    "network",
    "train",
    "data",
    "coordcheck",
    "import",
    "replay",
    "doctor",
}
# They train, or change what is planned: not in every state, but where nothing is left to do.
IN_SOME_STATE = {
    "launch study=tiny launch=inline": "done",
    "add study=tiny block=more grid.tokens=[2560]": "done",
}
# Refused where all is done, for what the study is: one learning rate and batch for each size, and
# no checkpoints in this copy of it.
UNSUITED = {
    "tune study=tiny N=[1e3] D=[1e4] resamples=0",
    "export study=tiny",
    "probe study=tiny probe=validation launch=inline",
}
# What takes long has tests of its own; here one or two states that they do not have.
SLOW = {
    "plan study=tiny launch=inline": ("planned",),
    "multiverse study=tiny target=alpha json=true": (*NEEDS_A_FIT, "imported"),
    "compare-laws study=tiny json=true": (*NEEDS_A_FIT, "imported"),
    "next study=tiny target=alpha resamples=30 json=true": NEEDS_A_FIT,
    "reach study=tiny resamples=30 json=true": NEEDS_A_FIT,
    "report study=tiny resamples=0 multiverse=false json=true": (*NEEDS_A_FIT, "imported"),
    "forecast study=tiny resamples=0 json=true": tuple(s for s in STATES if s != "half"),
    "sync study=tiny": (*NEEDS_A_PLAN, "planned"),
}
CASES = [(command, state) for command in COMMANDS for state in SLOW.get(command, STATES)]


def test_the_table_has_every_verb() -> None:
    told = {command.split()[0] for command in (*COMMANDS, *IN_SOME_STATE)}
    assert told | ABOUT_NO_STUDY == set(VERBS)


@pytest.fixture(scope="module")
def folders(states, tmp_path_factory) -> Callable[[str], Path]:
    """A state -> a folder in which the study is in it, made once."""
    made: dict[str, Path] = {}

    def folder(state: str) -> Path:
        if state not in made:
            made[state] = tmp_path_factory.mktemp(state)
            states.make(state, made[state])
        return made[state]

    return folder


@pytest.fixture
def tell(folders, capsys, monkeypatch) -> Callable[[str, str], tuple[int, str, str]]:
    """Run a command in a state: (exit code, output, error)."""

    def run(command: str, state: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folders(state))
        arguments = command.split()
        if arguments[0] == "reach":
            arguments.append("target=alpha within 100000%")
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return (ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # the numbers are judged elsewhere
@pytest.mark.parametrize(("command", "state"), CASES)
def test_a_verb_answers_or_says_what_is_missing(command: str, state: str, tell) -> None:
    code, out, error = tell(command, state)
    if state in COMMANDS[command]:
        assert code == 2
        assert WAYS[state] in error
    elif state == "done" and command not in UNSUITED:
        assert code == 0
    if code == 2:
        assert out == ""
        assert error.startswith("error: ") and error.count("\n") == 1
    elif command.endswith("json=true"):
        json.loads(out)
    else:
        assert out


@pytest.mark.parametrize(("command", "state"), IN_SOME_STATE.items())
def test_what_trains_or_adds(command: str, state: str, tell) -> None:
    assert tell(command, state)[0] == 0


def test_an_unknown_name_lists_those_that_there_are(tell) -> None:
    for command in COMMANDS:
        if "study=tiny" in command and not command.startswith("plan"):
            code, out, error = tell(command.replace("study=tiny", "study=other"), "done")
            assert code == 2 and not out
            composed = command.startswith(
                ("next", "reach", "probe")
            )  # its file is looked for first
            assert ("tiny, tune" if composed else "there are: tiny;") in error
