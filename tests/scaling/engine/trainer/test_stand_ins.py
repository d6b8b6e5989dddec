"""What Lightning would import besides takes twice as long as torch does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scalinglab.scaling.engine.trainer.stand_ins import COMPILER, METRICS, disable, stand_ins
from scalinglab.scaling.training.child import OURS
from tests.conftest import TINY

TRAINING = (
    "import atexit, gc, sys; atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count()));"
    " atexit.register(lambda: print(*sys.modules));"
    " from scalinglab.cli import main; main()"
)
UNUSED = {
    "torch._dynamo",
    "torch.distributed.fsdp",
    "sympy",
    "torchmetrics",
    "transformers",
    "scipy",
    "matplotlib",
    "pandas",
    "wandb",
}


@pytest.mark.long
def test_a_command_that_trains_loads_what_it_uses(tmp_path: Path) -> None:
    options = TINY["data"]["options"]
    command = subprocess.run(
        [
            *(sys.executable, "-c", TRAINING, "train", "data=markov", f"outputs={tmp_path}"),
            *(f"data.options.{name}={number}" for name, number in options.items()),
            *(
                f"model.{name}={number}"
                for name, number in TINY["model"].items()
                if name != "heads"
            ),
            *("data.validation_tokens=512", "schedule.warmup_tokens=256", "tokens=2560", "batch=4"),
        ],
        env={name: text for name, text in os.environ.items() if name != OURS},  # as from a shell
        capture_output=True,
        text=True,
        check=True,
    )
    *_, told, modules, collections = command.stdout.splitlines()
    assert "validation loss" in told
    assert "lightning.pytorch.trainer.trainer" in modules.split()
    assert not UNUSED & set(modules.split())
    is_on, passed_over = collections.split()  # collections pass over what torch's import made
    assert is_on == "True" and int(passed_over) > 100_000


@pytest.fixture
def not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (METRICS, COMPILER):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_afterwards_the_names_are_free(not_imported: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OURS, "1")
    with stand_ins():
        assert sys.modules[COMPILER].disable is disable
        assert hasattr(sys.modules[METRICS], "MetricCollection")
    assert not {METRICS, COMPILER} & set(sys.modules)


def test_what_was_imported_before_is_left(
    not_imported: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OURS, "1")
    monkeypatch.setitem(sys.modules, METRICS, os)
    with stand_ins():
        assert sys.modules[METRICS] is os
        assert COMPILER in sys.modules
    assert sys.modules[METRICS] is os


def test_elsewhere_nothing_is_replaced(not_imported: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook that trains a run may log metrics by Lightning in a module of its own."""
    monkeypatch.delenv(OURS, raising=False)
    with stand_ins():
        assert not {METRICS, COMPILER} & set(sys.modules)


def test_a_decorated_function_is_the_function() -> None:
    assert disable(len) is len
    assert disable(reason="never compiled")(len) is len
