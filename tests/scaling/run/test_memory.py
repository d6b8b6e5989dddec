"""The memory estimate against what a training really allocates."""

from __future__ import annotations

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from scalinglab.scaling.config import ExecutionConfig
from scalinglab.scaling.engine.network.loss import ModelLoss
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.optimizers.optimizer import UPDATES, Optimizer, build_optimizer
from scalinglab.scaling.engine.trainer.loop import Training
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import parameter_counts, tensor_sizes
from scalinglab.scaling.model.feed_forwards.moe import MoE
from scalinglab.scaling.model.mixers.gated_linear import GatedLinear
from scalinglab.scaling.model.parametrization import tensor_rules
from scalinglab.scaling.model.residuals.hyper import Hyper
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.records import machine
from scalinglab.scaling.records.claim import Claim
from scalinglab.scaling.run.memory import (
    activation_floats,
    check_memory,
    checkpoint_floats,
    process_bytes,
    state_floats,
    training_bytes,
)
from scalinglab.scaling.run.step_options import StepOptions

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
        Architecture(WIDE, mixer=GatedLinear()),
        Architecture(WIDE, residual=Hyper()),
        Architecture(WIDE, residual=Hyper(streams=2, dynamic=False)),
        Architecture(WIDE, feed_forward=MoE(experts=4, capacity=None, dispatch="sorted")),
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
    # Logits and the gradient of the log-softmax are not saved but alive at the peak.
    alive = sum(kept.values()) + 2 * logits.numel() * 4
    found = 4 * activation_floats(architecture, batch, StepOptions())
    assert found == pytest.approx(alive, rel=1 / 3)
    assert training_bytes(architecture, batch) == found + 20 * sum(
        p.numel() for p in model.parameters()
    )  # of AdamW, whose update takes less in passing
    assert loss.requires_grad


def test_what_is_asked_of_a_machine_is_what_its_processes_take_together(tiny_config, monkeypatch):
    """And nothing of a program, whose memory is not ours to know."""
    shape, size = Shape(2, 64, 4, 256, 128, 256), 1024
    one = process_bytes(Architecture(shape), tiny_config({"batch": 128}))
    counts = parameter_counts(Architecture(shape))
    state = 4 * (state_floats(counts, "adamw") + checkpoint_floats(counts, "adamw"))
    monkeypatch.setattr(machine, "memory_bytes", lambda: one + state)

    def check(execution: dict, **place) -> None:
        execution = {f"execution.{key}": value for key, value in execution.items()}
        check_memory(Architecture(shape), tiny_config({"batch": size} | execution), **place)

    with pytest.raises(ConfigError, match=r"batch = 1024: training takes about [\d.]+ GB; the m"):
        check({})
    check({"micro_batch": 128})
    check({"processes": 2, "micro_batch": 64})  # two copies of the model, half of the batch each
    with pytest.raises(ConfigError, match=r"in 3 processes \(execution.processes = 3, .*shard = F"):
        check({"processes": 3, "micro_batch": 43})  # three copies
    check({"processes": 3, "micro_batch": 43}, nodes=3)
    check({"processes": 8, "micro_batch": 64}, nodes=4)
    check({}, memory=float("inf"))
    check_memory(Architecture(shape), tiny_config({"batch": size, "trainer.kind": "command"}))


def test_a_model_in_parts_needs_less_than_copies_of_it(tiny_config):
    """Eight copies, or one model, in which FSDP's weights come twice, and what is gathered."""
    architecture = Architecture(Shape(12, 256, 4, 1024, 16, 256))
    counts = parameter_counts(architecture)
    for name in UPDATES:
        whole, part = (training_bytes(architecture, 1, optimizer=name, shards=n) for n in (1, 8))
        arriving = {"muon": "n_block", "soap": "n_block"}.get(name, "n_total")
        more = counts["n_total"] + (counts[arriving] if OPTIMIZERS[name].whole else 0)
        kept = state_floats(counts, name), state_floats(counts, name, 8)
        assert 8 * kept[1] == kept[0] + more
        assert part < whole / 2
    config = {"batch": 8, "execution.processes": 8}
    memory = 2 * training_bytes(architecture, 1)
    with pytest.raises(ConfigError, match="in 8 processes .*shard = False"):
        check_memory(architecture, tiny_config(config), memory=memory)
    # A block in twelve and all outside them are there for a moment in each of eight processes.
    check_memory(architecture, tiny_config(config | {"execution.shard": True}), memory=2 * memory)


def fresh(name: str, architecture: Architecture) -> Optimizer:
    """An optimizer before its first update."""
    kind = OPTIMIZERS[name]
    values = {"weight_decay": 0.1, "clip": 1.0, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8}
    settings = kind(**{k: v for k, v in values.items() if k in kind.__dataclass_fields__})
    sizes = {n: torch.Size(s) for n, s in tensor_sizes(architecture).items()}
    return build_optimizer([settings], sizes, tensor_rules(architecture, settings), "cpu")


@pytest.mark.parametrize("name", UPDATES)
def test_moments_are_what_an_optimizer_keeps(name: str) -> None:
    """Counted in its buffers; the default block, whose MLP is four times as wide as the model."""
    architecture = Architecture(Shape(2, 32, 2, 128, 16, 64))
    moments = fresh(name, architecture).moments.values()
    kept = sum(t.numel() for m in moments for t in (m.values() if isinstance(m, dict) else [m]))
    counts = parameter_counts(architecture)
    found = state_floats(counts, name) - 3 * counts["n_total"]
    assert found == pytest.approx(kept, abs=0.1 * counts["n_total"])


class Allocated(TorchDispatchMode):
    """Counts bytes that operations allocate, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.peak, self._alive = 0, {}

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        given = {t.untyped_storage().data_ptr() for t in tensors_of((arguments, named))}
        made = operation(*arguments, **(named or {}))
        self._alive = {at: s for at, s in self._alive.items() if not s[0].expired()}
        for storage in (t.untyped_storage() for t in tensors_of(made)):
            if storage.data_ptr() not in given:
                self._alive[storage.data_ptr()] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self._alive.values()))
        return made


def tensors_of(values) -> list[torch.Tensor]:
    return [value for value in tree_leaves(values) if isinstance(value, torch.Tensor)]


@pytest.mark.parametrize("name", UPDATES)
def test_what_an_update_takes_in_passing(name: str) -> None:
    """In a model whose weights are in the blocks; Adafactor and AdamP go tensor after tensor."""
    architecture = Architecture(Shape(4, 64, 2, 256, 16, 64))
    optimizer, total = fresh(name, architecture), parameter_counts(architecture)["n_total"]
    weights, lr, peaks = torch.randn(1, total), torch.full((1,), 1e-3).double(), []
    for count in range(1, 12):  # SOAP refreshes its bases in the last
        gradient = torch.randn(1, total)
        with Allocated() as allocated:
            optimizer.step(weights, gradient, lr, count)
        peaks.append(allocated.peak / 4 / total)
    assert max(peaks) < 1.05 * OPTIMIZERS[name].update_floats
    if name not in ("adafactor", "adamp"):
        assert max(peaks) > 0.9 * OPTIMIZERS[name].update_floats


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
    transient = 512 * (18 * 32 + 3 * 128) + 16 * 3 * 1024
    found = 4 * (activation_floats(architecture, 8, sparing) - transient)
    assert found == pytest.approx(sum(kept.values()), rel=1 / 3)
    assert 4 * activation_floats(architecture, 8, StepOptions()) > 10 * found


@pytest.mark.parametrize("name", ["adamw", "sgd", "muon"])
def test_a_checkpoint_has_the_floats_that_are_counted_for_it(make_run, tiny_run, name) -> None:
    changes = {"optimizer": {"name": name, "lr": 0.01}}
    folder = make_run(changes)
    claim = Claim.acquire(folder, 60.0)
    state = Training([claim], {}, ExecutionConfig()).engine.state(0)
    claim.release("interrupted")
    floats = sum(tensor.numel() for tensor in state.values())
    assert checkpoint_floats(tiny_run(changes).counts, name) == pytest.approx(floats, rel=0.02)
