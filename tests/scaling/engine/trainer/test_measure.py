"""The step time of a shape is measured as a run would make the step."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.trainer.measure import measure
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.muon import MuonConfig
from scalinglab.scaling.run.step_options import StepOptions

REQUEST = {
    "model": Architecture(Shape(1, 16, 2, 64, 16, 8)).science(),
    "batch": 8,
    "micro_batch": None,
    "engine": "eager",
    "device": "cpu",
    "threads": 1,
    "packs": [],
    "optimizer": "adamw",
    "options": asdict(StepOptions()),
}


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


def test_what_is_timed_is_the_runs_own_step(monkeypatch) -> None:
    """Its optimizer and its options, by what the engine is made of."""
    made = []

    def build(architecture, members, **named):
        made.append((members[0].optimizer, named["options"]))
        return EagerEngine(architecture, members, **named)

    monkeypatch.setattr("scalinglab.scaling.engine.trainer.measure.ENGINES", {"eager": build})
    options = StepOptions(precision="bf16", loss_chunk=8)
    measure(REQUEST | {"optimizer": "muon", "options": asdict(options)})
    ((settings, given),) = made
    assert isinstance(settings, MuonConfig) and given == options


def test_a_model_that_does_not_fit_at_all_is_an_error(monkeypatch) -> None:
    def full(self, tokens_kBT):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(EagerEngine, "_losses", full)
    with pytest.raises(torch.OutOfMemoryError):
        measure(REQUEST | {"micro_batch": 2})


def test_a_guess_is_said_before_anything_is_compiled(monkeypatch) -> None:
    """First a guess by one chunk of eager steps, then by several; what compiles follows."""
    made, said = [], []

    def compiled(*arguments, **named):
        made.append(len(said))
        return EagerEngine(*arguments, **named)

    monkeypatch.setattr(
        "scalinglab.scaling.engine.trainer.measure.ENGINES",
        {"eager": EagerEngine, "compiled": compiled},
    )
    found = measure(REQUEST | {"engine": "compiled"}, said.append)
    assert made == [2] and len(said) == 3 and found == said[-1] | {"packed": {}}
    assert all(guess["step"] > 0 and guess["token"] > 0 for guess in said)


def test_packs_are_timed_up_to_the_first_that_does_not_fit(monkeypatch) -> None:
    losses = EagerEngine._losses

    def limited(self, tokens_kBT):
        if self.members > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(self, tokens_kBT)

    monkeypatch.setattr(EagerEngine, "_losses", limited)
    found = measure(REQUEST | {"packs": [4, 8, 16]})["packed"]
    assert set(found) == {"4"} and found["4"]["step"] > 0 and found["4"]["token"] > 0


def test_only_steps_that_a_pack_may_shorten_are_timed_in_packs(monkeypatch) -> None:
    times = {1: 1.0, 4: 4.5}
    monkeypatch.setattr("scalinglab.scaling.engine.trainer.measure.LONG_STEP", 2.0)
    monkeypatch.setattr(
        "scalinglab.scaling.engine.trainer.measure._measure",
        lambda request, size, members=1, so_far=None: {"step": times[members], "token": 0.0},
    )
    assert set(measure(REQUEST | {"packs": [4]})["packed"]) == {"4"}  # slower: the plan says so
    monkeypatch.setattr(
        "scalinglab.scaling.engine.trainer.measure.LONG_STEP", 0.5
    )  # arithmetic, which none shares
    assert measure(REQUEST | {"packs": [4]})["packed"] == {}
