"""YAML files that a few lines of aliases would make endless."""

from __future__ import annotations

import time

import pytest

from scalinglab.compose import compose
from scalinglab.scaling.errors import ConfigError
from scalinglab.yaml_limits import check_size

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "line 6: holds more than 100,000 values"),
        ("a: &a\n  b: *a\n", "line 2: '.a' stands inside what it names"),
        ("{a:" * 3000, "line 1: nests more than 50 groups"),
        ("[" * 3000, "line 1: nests more than 50 groups"),
        ("\n".join(" " * k + "a:" for k in range(900)), "line 50: nests more than 50 groups"),
    ],
)
def test_a_file_that_grows_too_large_is_refused_at_its_line(tmp_path, text, message) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    started = time.process_time()
    with pytest.raises(ConfigError, match=f"study.yaml, {message}"):
        check_size(file)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "a: &a {b: [1]}\nc: *a\nd: {<<: *a}\n",
        "a: [",
        "\x00",
        "*nothing",
        "a: [" + "1, " * 5_000 + "]",
    ],
)
def test_other_files_are_left_to_their_reader(tmp_path, text) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    check_size(file)


def test_own_files_are_looked_at_before_they_are_read(tmp_path, monkeypatch) -> None:
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "bomb.yaml").write_text("# @package _global_\n" + BOMB)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="bomb.yaml, line 7: holds more than"):
        compose(["study=bomb"])
