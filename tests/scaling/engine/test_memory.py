"""The memory estimate against what a training really allocates."""

from __future__ import annotations

import pytest
import torch

from scaling.config import ConfigError
from scaling.engine.loss import ModelLoss
from scaling.engine.memory import check_memory, training_bytes
from scaling.engine.step_options import StepOptions
from scaling.model.architecture import Architecture, Shape
from scaling.model.counts import tensor_sizes
from scaling.model.parametrization import tensor_rules
from scaling.model.transformer import Transformer
from scaling.optimizer_settings import SETTINGS
from scaling.optimizers.registry import OPTIMIZERS, build_optimizer
from scaling.records import machine

WIDE = Shape(2, 96, 4, 256, 128, 256)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(Shape(2, 64, 4, 256, 128, 256)),
        Architecture(Shape(4, 32, 2, 128, 64, 16)),
        Architecture(Shape(1, 128, 8, 512, 64, 2048)),
        Architecture(WIDE, activation="swiglu", qk_norm=False),  # llama
        Architecture(WIDE, activation="gelu", norm="layernorm", qk_norm=False, bias=True),  # gpt2
        Architecture(WIDE, norm="none"),
        *(Architecture(WIDE, placement=name) for name in ("post", "peri", "normformer", "hybrid")),
    ],
    ids=repr,
)
def test_activations_kept_for_the_backward_pass_are_within_a_third(
    architecture: Architecture,
) -> None:
    batch, kept, shape = 8, {}, architecture.shape
    model = Transformer(architecture)
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    tokens = torch.randint(shape.vocab, (batch, shape.context))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        logits = model(tokens)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
    state = 16 * sum(p.numel() for p in model.parameters())
    # Logits and the gradient of the log-softmax are not saved but alive at the peak.
    alive = sum(kept.values()) + 2 * logits.numel() * 4
    assert training_bytes(architecture, batch) - state == pytest.approx(alive, rel=1 / 3)
    assert loss.requires_grad


def test_what_is_asked_of_a_machine_is_one_part_of_one_processs_share(tiny_config, monkeypatch):
    """And nothing of a program, whose memory is not ours to know."""
    shape, size = Shape(2, 64, 4, 256, 128, 256), 1024
    monkeypatch.setattr(machine, "memory_bytes", lambda: training_bytes(Architecture(shape), 128))
    with pytest.raises(ConfigError, match="batch = 1024: training takes about"):
        check_memory(Architecture(shape), tiny_config({"batch": size}))
    for fits in ({"processes": 8}, {"micro_batch": 128}, {"processes": 2, "micro_batch": 100}):
        execution = {f"execution.{k}": v for k, v in fits.items()}
        check_memory(Architecture(shape), tiny_config({"batch": size} | execution))
    check_memory(Architecture(shape), tiny_config({"batch": size, "trainer.kind": "command"}))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_moments_are_what_an_optimizer_keeps(name: str) -> None:
    """Counted in its buffers; the default block, whose MLP is four times as wide as the model."""
    architecture = Architecture(Shape(2, 32, 2, 128, 16, 64))
    adam = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8}
    kind = SETTINGS[name]
    values = {"weight_decay": 0.1, "clip": 1.0} | adam
    settings = kind(**{k: v for k, v in values.items() if k in kind.__dataclass_fields__})
    sizes = {n: torch.Size(s) for n, s in tensor_sizes(architecture).items()}
    rules = tensor_rules(architecture, name)
    moments = build_optimizer([settings], sizes, rules, "cpu").moments.values()
    kept = sum(t.numel() for m in moments for t in (m.values() if isinstance(m, dict) else [m]))
    state = [training_bytes(architecture, 1, optimizer=n) for n in (name, "adafactor")]
    total = sum(size.numel() for size in sizes.values())
    assert (state[0] - state[1]) / 4 == pytest.approx(kept, abs=0.1 * total)


def test_what_is_computed_again_is_left_out() -> None:
    """Inputs of twelve blocks, one block, and the logits of 16 tokens in 512."""
    architecture = Architecture(Shape(12, 32, 2, 128, 64, 1024))
    sparing = StepOptions(loss_chunk=16, recompute=True)
    loss = ModelLoss(architecture, sparing)
    own = {p.untyped_storage().data_ptr() for p in loss.parameters()}
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        loss(torch.randint(1024, (8, 65)))
    transient = 4 * 512 * (18 * 32 + 3 * 128) + 4 * 16 * 3 * 1024
    state = 16 * sum(p.numel() for p in loss.parameters())
    found = training_bytes(architecture, 8, options=sparing) - state - transient
    assert found == pytest.approx(sum(kept.values()), rel=1 / 3)
    assert training_bytes(architecture, 8) - state > 10 * found
