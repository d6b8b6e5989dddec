"""Training in the tests: one thread, and processes that start fast.

torch is imported where it is used: what needs none is tested without it, too.
"""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.records.run_folder import RunFolder
from scalinglab.scaling.training import ranks


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    if importlib.util.find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def train_run() -> Callable[..., str]:
    """Claim and train runs as a worker does: one, or several as a pack; gives the outcome."""
    from scalinglab.scaling.engine.trainer.trainer import train

    def run(*folders: RunFolder, should_stop=lambda: False, pins: Sequence[int] = ()) -> str:
        config = folders[0].spec().config["execution"]
        execution = from_dict(ExecutionConfig, config, "execution")
        claims = [Claim.acquire(folder, execution.lease_seconds) for folder in folders]
        assert None not in claims
        return train(claims, {f.run_id: pins for f in folders}, execution, should_stop)

    return run


@pytest.fixture
def run_with_ranks() -> Callable[..., str]:
    """Claim and train runs by two local processes."""

    def run(*folders: RunFolder, should_stop=lambda: False, **execution) -> str:
        settings = {"processes": 2, "checkpoint_seconds": 1000.0} | execution
        claims = [Claim.acquire(folder, 60.0) for folder in folders]
        return ranks.train(claims, {}, ExecutionConfig(**settings), should_stop)

    return run


@pytest.fixture(scope="session")
def curve_of() -> Callable[[RunFolder], str]:
    """The text of a finished run's curve: equal texts are equal bits."""
    return lambda folder: gzip.decompress(folder.curve_file().read_bytes()).decode()


@pytest.fixture
def make_apart(
    tmp_path: Path, outputs: Path, make_run: Callable[..., RunFolder]
) -> Callable[..., RunFolder]:
    """A planned run in a folder of its own, where it shares nothing but the data."""

    def make(changes: dict[str, Any] | None = None) -> RunFolder:
        own = tmp_path / "alone"
        if not own.exists():
            own.mkdir()
            (own / "data").symlink_to(outputs / "data")
        return make_run(changes, below=own)

    return make


@pytest.fixture
def elsewhere(
    make_apart: Callable[..., RunFolder], train_run: Callable[..., str]
) -> Callable[..., RunFolder]:
    """The same run trained alone in a folder of its own."""

    def alone(changes: dict[str, Any] | None = None) -> RunFolder:
        folder = make_apart(changes)
        if folder.done() is None:
            assert train_run(folder) == "done"
        return folder

    return alone
