"""Names and paths are data to every shell that meets them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.run.command_line import fill
from scalinglab.scaling.text.shell import override
from scalinglab.wandb_client import upload_command

NAMES = (
    "plain/path-1.csv",
    "$(touch x)",
    "`touch x`",
    "a b",
    "a'b\"c",
    ";touch x",
    "*",
    "ü",
    "~",
    "$HOME",
    "a\\",
    "a\\'b",
    "x=y,z",
    "[1]",
    "{a}",
    "&touch x",
    "!!",
    "#",
    "-n",
    "",
)


def words(command: str, folder: Path) -> list[str]:
    """What a program would be given by bash."""
    said = subprocess.run(
        ["bash", "-c", f"printf '%s\\0' {command}"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return said.split("\0")[:-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_is_copied_says_what_was_meant(tmp_path, name: str) -> None:
    (word,) = words(override("path", name), tmp_path)
    read = OverridesParser.create().parse_override(word).value()
    assert ("" if read is None else read) == name
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [n for n in NAMES if n])
def test_the_command_that_uploads_names_the_folder(tmp_path, name: str) -> None:
    folder = tmp_path / name / "wandb"
    (folder / "offline-run-1").mkdir(parents=True)
    there = sorted(tmp_path.iterdir())
    asked = words(upload_command([folder / "offline-run-1"]), tmp_path)
    assert asked[-1] == str(folder / "offline-run-1")
    assert sorted(tmp_path.iterdir()) == there


@pytest.mark.parametrize("name", NAMES)
def test_a_program_gets_names_as_they_are(name: str) -> None:
    assert fill(["train", "--in={folder}", "{folder}"], {"folder": name}) == [
        "train",
        f"--in={name}",
        name,
    ]


@pytest.mark.parametrize(
    "command",
    [
        ["bash", "-c", "train {folder}"],
        ["/bin/sh", "-ec", "train '{folder}'"],
        ["env", "A=1", "bash", "-lc", 'train "{folder}"'],
        ["ssh", "host", "train", "{folder}"],
    ],
)
def test_a_script_gets_no_name_that_a_shell_would_read(command) -> None:
    assert fill(command, {"folder": "/a/b-1"})[-1] != command[-1]
    for name in ("$(touch x)", "a b", "a;b", "it's"):
        with pytest.raises(ConfigError, match="which a shell reads"):
            fill(command, {"folder": name})


def test_a_script_may_take_the_name_as_an_argument(tmp_path) -> None:
    name = "$(touch x) 'a'"
    command = fill(["bash", "-c", 'printf %s "$1"', "bash", "{folder}"], {"folder": name})
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert said == name and not list(tmp_path.iterdir())
