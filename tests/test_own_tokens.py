"""The example with shards of tokens: made, planned as it stands, trained at toy size on a CPU."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scalinglab import Study, analysis

EXAMPLE = Path(__file__).parents[1] / "examples" / "own_tokens"
TOY = [
    "launch.measure=off",
    "launch=inline",
    "model.depth=1",
    "model.head_dim=8",
    "model.context=16",
    "batch=4",
    "schedule.warmup_tokens=64",
    "data.validation_tokens=512",
    "study.blocks.ladder.grid.model.width=[8,16]",
    "study.blocks.ladder.grid.tokens=[1280]",
    "~study.blocks.seeds",
    "~study.blocks.larger",
]


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example's folder in a reader's place, with shards of some text."""
    folder = tmp_path / "own_tokens"
    shutil.copytree(EXAMPLE, folder)
    (tmp_path / "text").mkdir()
    for k in range(60):
        lines = "".join(f"def f{k}_{j}(x): return x + {j * k}\n" for j in range(200))
        (tmp_path / "text" / f"{k:02d}.py").write_text(lines)
    monkeypatch.chdir(folder)
    command = [sys.executable, "shards.py", str(tmp_path / "text"), "--shard", "100000"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "vocab=257 bytes_per_token=0.999" in printed
    assert len(list(Path("shards").glob("train_*.bin"))) > 1
    return folder


def test_it_trains_at_toy_size_on_a_cpu(reader: Path) -> None:
    assert Study.open("own_tokens", *TOY).launch().code == 0
    runs = analysis.load("outputs", study="own_tokens")
    assert runs["width"].tolist() == [16, 8] or runs["width"].tolist() == [8, 16]
    assert (runs["loss"] < 5.3).all() and (runs["bpb"] > 0).all()  # log 257 = 5.55
