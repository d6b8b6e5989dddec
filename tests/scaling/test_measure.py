"""The step time of a shape is measured as a run would make the step."""

from __future__ import annotations

import pytest
import torch

from scaling.architecture import Architecture, Shape
from scaling.engine import EagerEngine
from scaling.measure import measure

REQUEST = {
    "model": Architecture(Shape(1, 16, 2, 64, 16, 8)).science(), "batch": 8, "micro_batch": None,
    "engine": "eager", "device": "cpu", "threads": 1,
}  # fmt: skip


def test_where_memory_lacks_the_micro_batch_is_halved(monkeypatch) -> None:
    tried, losses = [], EagerEngine._losses

    def limited(self, tokens_kBT):
        if torch.is_grad_enabled():
            tried.append(tokens_kBT.shape[1])
            if tokens_kBT.shape[1] > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(self, tokens_kBT)

    monkeypatch.setattr(EagerEngine, "_losses", limited)
    found = measure(REQUEST)
    assert tried[:3] == [8, 4, 2] and set(tried[2:]) == {2}
    assert found["step"] > 0 and found["token"] > 0


def test_a_model_that_does_not_fit_at_all_is_an_error(monkeypatch) -> None:
    def full(self, tokens_kBT):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(EagerEngine, "_losses", full)
    with pytest.raises(torch.OutOfMemoryError):
        measure(REQUEST | {"micro_batch": 2})
