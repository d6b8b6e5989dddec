"""The command line in the tests."""

from __future__ import annotations

import pytest
import torch

from scalinglab.cli import main


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def run(capsys, monkeypatch, finished):
    """Run a command line in the folder of the finished study: (exit code, output, error)."""
    monkeypatch.chdir(finished.parent)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        out, error = capsys.readouterr()
        return stopped.value.code or 0, out, error

    return command


@pytest.fixture(scope="session")
def tiny_overrides() -> tuple[str, ...]:
    """A run of 40 steps on the tiny language of ``tests/conftest.py``, on the command line."""
    return (
        "data=markov",
        "data.options.tokens=20001",
        "data.options.vocab=8",
        "data.options.successors=4",
        "data.options.validation_tokens=1025",
        "data.validation_tokens=512",
        "model.context=16",
        "model.width=16",
        "batch=4",
        "tokens=2560",
    )
