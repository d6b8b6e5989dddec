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
