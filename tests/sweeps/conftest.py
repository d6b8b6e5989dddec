"""A tiny study on a tiny language, planned through Hydra like any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scaling.compose import compose

STUDY = """
# @package _global_
defaults:
  - override /data: markov
study:
  name: tiny
  question: Does it run?
  blocks:
    ladder:
      role: fit
      grid: {model: {width: [8, 16]}, tokens: [2560, 5120]}
    curves:
      role: curve
      grid: {model: {width: [8]}, tokens: [5120], schedule: {kind: [constant, wsd]}}
model: {depth: 1, head_dim: 8, context: 16}
data:
  options: {vocab: 8, successors: 4, tokens: 20001, validation_tokens: 1025}
  validation_tokens: 512
schedule: {warmup_tokens: 256}
batch: 4
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Compose the tiny study with overrides, in an empty folder that is now the current one."""
    (tmp_path / "conf" / "study").mkdir(parents=True)
    (tmp_path / "conf" / "study" / "tiny.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return lambda *overrides: compose(["study=tiny", *overrides])
