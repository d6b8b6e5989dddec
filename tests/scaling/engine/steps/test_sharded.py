"""Processes that each hold some rows of a model train it as one process does."""

from __future__ import annotations

import queue
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from scalinglab.scaling.engine.network import initialization
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.sharded import ShardedEngine
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.counts import tensor_sizes
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.run.step_options import StepOptions

# Eleven symbols do not divide among two or three, nor do the gains of two heads among three.
SHAPE = Shape(depth=2, width=16, heads=2, mlp_width=64, context=16, vocab=11)
STEPS, BATCH = 50, 6
TOKENS = np.random.default_rng(0).integers(SHAPE.vocab, size=(STEPS, 1, BATCH, SHAPE.context + 1))
LR = np.random.default_rng(1).random((STEPS, 1)) * 0.01
WINDOWS = np.random.default_rng(2).integers(SHAPE.vocab, size=(6, SHAPE.context + 1))
# Clipping at .5 acts at every step: a norm over one rank's rows alone would show at once.
COMMON = {"weight_decay": 0.1, "clip": 0.5}
ADAM = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8} | COMMON
KEYS = {
    "lion": {"beta1": 0.9, "beta2": 0.99},
    "sgd": {"nesterov": True},
    "normalized": {},
    "adafactor": {},
}
FIFTY_STEPS = ("adamw", "muon")
# Rounding decides SOAP's bases where no gradient has been yet: in micro-batches one process strays
# from itself by 2e-3 in these steps.
LOOSE = {"soap": 1e-2}
CASES = {
    name: {"settings": kind(**(KEYS.get(name, ADAM) | COMMON))} for name, kind in OPTIMIZERS.items()
} | {
    "micro_batches": {"settings": AdamWConfig(**ADAM), "micro_batch": 1},
    "options": {
        "settings": AdamWConfig(**ADAM),
        "options": StepOptions(z_loss=1e-2, loss_chunk=7, recompute=True),
    },
    # A gradient of a product is rounded to bfloat16 once a pass: so passes must be the same ones.
    "bf16": {"settings": AdamWConfig(**ADAM), "micro_batch": 1, "options": StepOptions("bf16")},
    "bf16_recompute": {
        "settings": AdamWConfig(**ADAM),
        "micro_batch": 1,
        "options": StepOptions("bf16", recompute=True),
    },
    "compiled": {"settings": AdamWConfig(**ADAM), "compiled": True},
    "unusual": {
        "settings": AdamWConfig(**ADAM),
        "architecture": {
            "tied_head": True,
            "bias": True,
            "norm": "layernorm",
            "embedding_scale": "norm",
        },
    },
}


def build(kind, settings, architecture=None, **named):
    if kind is EagerEngine:
        named.pop("compiled", None)
    return kind(Architecture(SHAPE, **architecture or {}), [Member(3, settings)], **named)


def outcome(name, engine, tokens, windows, backward=torch.Tensor.backward):
    """Some steps, with validation after the third and the last."""
    steps = STEPS if name in FIFTY_STEPS else 8
    parts = [engine.train(tokens[:3], LR[:3], backward)]
    before = engine.evaluate(windows)
    parts.append(engine.train(tokens[3:steps], LR[3:steps], backward))
    return {
        "loss": np.concatenate([p.loss for p in parts]),
        "grad_norm": np.concatenate([p.grad_norm for p in parts]),
        "validation": np.stack([before, engine.evaluate(windows)]),
        "state": {key: value.numpy() for key, value in engine.state(0).items()},
    }


@contextmanager
def drawn() -> Iterator[list[int]]:
    """How many of the initial tensors are there at once, counted at each draw by their memory."""
    draw, held, alive = initialization._draw, [], []

    def watched(*arguments) -> torch.Tensor:
        array = draw(*arguments).numpy()
        held.append(weakref.ref(array))
        alive.append(sum(memory() is not None for memory in held))
        return torch.from_numpy(array)  # its memory is the array's while any view of it lives

    initialization._draw = watched
    yield alive
    initialization._draw = draw


def rank_of(rank: int, size: int, meeting: str, names: list[str], results) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
    tokens, windows = np.split(TOKENS, size, 2)[rank], np.split(WINDOWS, size)[rank]
    for name in names:
        with drawn() as alive:
            engine = build(ShardedEngine, **CASES[name])
        computed, block = set(), engine.module.loss.model.blocks[0]
        for part in (block.up, block.mlp_norm):
            part.register_forward_hook(
                lambda module, *_, computed=computed: computed.add(
                    (type(module).__name__.removeprefix("FSDP"), next(module.parameters()).dtype)
                )
            )
        found = outcome(name, engine, tokens, windows)
        found |= {"alive": alive, "computed": computed}
        model = engine._built(Architecture(SHAPE), StepOptions(), seed=0)
        found["made_on"] = {p.device.type for p in model.parameters()}
        engine.load(0, build(EagerEngine, **CASES[name]).state(0), 0)  # whole tensors
        found["loaded"] = {key: value.numpy() for key, value in engine.state(0).items()}
        results.put((rank, name, found))
    dist.barrier()
    dist.destroy_process_group()


def trained_by_ranks(
    processes: BaseContext, folder: Path, size: int, names: list[str]
) -> dict[str, list]:
    """What each rank has of each case."""
    results = processes.Queue()
    ranks = [
        processes.Process(target=rank_of, args=(r, size, str(folder / "meet"), names, results))
        for r in range(size)
    ]
    for process in ranks:
        process.start()
    found: dict[str, list] = {name: [None] * size for name in names}
    try:
        while any(None in of_case for of_case in found.values()):
            try:
                rank, name, result = results.get(timeout=2)
            except queue.Empty:  # a rank that failed sends nothing
                assert not any(process.exitcode for process in ranks)
                continue
            found[name][rank] = result
        return found
    finally:
        for process in ranks:
            process.kill()
            process.join()


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)])
def by_ranks(request, processes: BaseContext, tmp_path_factory) -> dict[str, list]:
    """The same, of all cases that take seconds."""
    names = [name for name in CASES if name != "compiled"]
    return trained_by_ranks(processes, tmp_path_factory.mktemp("ranks"), request.param, names)


def whole(by_rank: list[dict], when: str = "state") -> dict[str, np.ndarray]:
    """The rows of all ranks, one after the other."""
    states = [r[when] for r in by_rank]
    keys = dict.fromkeys(key for state in states for key in state)
    return {key: np.concatenate([s[key] for s in states if key in s]) for key in keys}


@pytest.mark.parametrize("name", [name for name in CASES if name != "compiled"])
def test_the_steps_of_ranks_are_those_of_one_process(by_ranks, name):
    assert_as_one_process(name, by_ranks[name])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what the compiler imports
def test_compiled_blocks_are_eager_ones_to_rounding(processes, tmp_path):
    found = trained_by_ranks(processes, tmp_path, 2, ["compiled"])
    assert_as_one_process("compiled", found["compiled"])


def in_one_process(name: str, ranks: int) -> dict:
    """What the ranks must come to.

    A rank's loss is the mean over its own slice, so that its gradients are larger by the number of
    ranks, until their mean is taken. bfloat16 rounds other bits of them, unless that is a power of
    two: so one process makes its gradients as large, and divides their sum in float32 as ranks do.
    """
    engine = build(EagerEngine, **CASES[name])
    if not name.startswith("bf16"):
        return outcome(name, engine, TOKENS, WINDOWS)
    engine.reduce.finish = lambda gradient: gradient.div_(ranks)
    return outcome(name, engine, TOKENS, WINDOWS, lambda loss: (loss * ranks).backward())


def assert_as_one_process(name: str, found: list[dict]) -> None:
    expected = in_one_process(name, len(found))
    rtol = LOOSE.get(name, 1e-5)
    for key in ("loss", "validation"):  # each of its own slice
        np.testing.assert_allclose(np.mean([r[key] for r in found], 0), expected[key], rtol=rtol)
    for result in found:  # the same, of the whole gradient
        np.testing.assert_allclose(result["grad_norm"], expected["grad_norm"], rtol=10 * rtol)
        assert np.array_equal(result["grad_norm"], found[0]["grad_norm"])
    assert (expected["grad_norm"] > COMMON["clip"]).any()
    together = whole(found)
    assert together.keys() == expected["state"].keys()
    for key, value in expected["state"].items():
        assert together[key].shape == value.shape
        if name not in LOOSE:
            np.testing.assert_allclose(together[key], value, rtol=1e-3, atol=1e-5, err_msg=key)


def test_a_hidden_matrix_of_muon_is_one_ranks_alone(by_ranks):
    """And the rows of all else lie in all."""
    states = [result["state"] for result in by_ranks["muon"]]
    owners = [sum(f"momentum/blocks.{i}.up.weight" in state for state in states) for i in (0, 1)]
    assert owners == [1, 1]
    assert all("weight/embedding.weight" in state for state in states)


@pytest.mark.parametrize("name", FIFTY_STEPS)
def test_each_rank_holds_its_part_only(by_ranks, name):
    found = by_ranks[name]
    total = sum(value.size for value in whole(found).values())
    for result in found:
        assert sum(v.size for v in result["state"].values()) < 1.1 * total / len(found)


def test_no_rank_ever_holds_the_whole_model(by_ranks):
    """The model is made without memory, and its initial weights come and go one after the other."""
    for result in by_ranks["adamw"]:
        assert result["made_on"] == {"meta"}
        assert len(result["alive"]) == len(tensor_sizes(Architecture(SHAPE)))
        assert set(result["alive"]) == {1}


def test_a_rank_takes_its_rows_of_whole_tensors(by_ranks):
    fresh = build(EagerEngine, **CASES["unusual"]).state(0)
    loaded = whole(by_ranks["unusual"], "loaded")
    assert all(np.array_equal(loaded[key], value.numpy()) for key, value in fresh.items())


def test_in_bf16_halves_of_matrices_are_gathered_and_whole_gains(by_ranks):
    full = {("Linear", torch.float32), ("RMSNorm", torch.float32)}
    assert all(result["computed"] == full for result in by_ranks["adamw"])
    half = {("Linear", torch.bfloat16), ("RMSNorm", torch.float32)}
    for name in ("bf16", "bf16_recompute"):
        assert all(result["computed"] == half for result in by_ranks[name])


def test_a_pack_is_not_shared():
    members = [Member(0, AdamWConfig(**ADAM)), Member(1, AdamWConfig(**ADAM))]
    with pytest.raises(ValueError, match="shares one run among processes, not a pack"):
        ShardedEngine(Architecture(SHAPE), members)
