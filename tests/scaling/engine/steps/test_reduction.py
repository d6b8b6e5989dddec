"""Gradients of several processes are summed while the backward pass goes on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.steps import reduction
from scalinglab.scaling.engine.steps.eager import EagerEngine
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.reduction import Buckets, cut
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig

SHAPE = Shape(depth=2, width=16, heads=2, mlp_width=64, context=16, vocab=11)
ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
TOKENS = np.random.default_rng(0).integers(SHAPE.vocab, size=(3, 1, 4, 17))
LR = np.full((3, 1), 0.01)


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ([9, 2, 3, 1], 4, [[0], [1], [2, 3]]),
        ([1, 1, 1], 3, [[0, 1, 2]]),
        ([5], 4, [[0]]),  # one by itself, however large
        ([1, 9], 4, [[0], [1]]),
    ],
)
def test_buckets_are_filled_from_the_end(sizes, most, expected) -> None:
    assert cut(sizes, most) == expected


@pytest.fixture
def sent(monkeypatch):
    """Pieces of gradients as they are sent: another rank has the same ones, so they double."""
    pieces: list[torch.Tensor] = []

    class Work:
        def __init__(self, piece: torch.Tensor) -> None:
            self.piece = piece

        def wait(self) -> None:
            self.piece.mul_(2)

    def all_reduce(piece, async_op):
        assert async_op
        pieces.append(piece)
        return Work(piece)

    monkeypatch.setattr(reduction.dist, "all_reduce", all_reduce)
    return pieces


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("micro_batch", [4, 2])
def test_a_step_sends_each_number_once_and_most_before_the_backward_pass_ends(
    sent, micro_batch, tied
) -> None:
    """Two ranks with the same half each train as one does with all; the last pass alone sends."""
    architecture = Architecture(SHAPE, tied_head=tied)
    plain, engine = (
        EagerEngine(architecture, [Member(0, ADAMW)], micro_batch=micro_batch) for _ in range(2)
    )
    engine.reduce = Buckets(engine.module, most=4 * 700)
    engine.reduce.share = 0.5
    before: list[tuple[int, int]] = []  # sent before and after each backward pass

    def backward(loss: torch.Tensor) -> None:
        start = len(sent)
        loss.backward()
        before.append((start, len(sent)))

    found = engine.train(TOKENS, LR, backward)
    expected = plain.train(TOKENS, LR, torch.Tensor.backward)
    np.testing.assert_array_equal(found.loss, expected.loss)
    np.testing.assert_array_equal(found.grad_norm, expected.grad_norm)
    a_step = len(sent) // 3
    (step,) = [sent[:a_step]]
    assert a_step > 5 and [len(p) for p in sent] == 3 * [len(p) for p in step]
    begins = [p.storage_offset() for p in step]
    assert begins == sorted(begins, reverse=True)  # from the network's end, and
    assert sum(map(len, step)) == engine.module.gradient.numel()  # without a gap
    passes = 4 // micro_batch
    for i, (start, end) in enumerate(before):
        last = i % passes == passes - 1
        # A tied embedding is the first parameter and needs both ends of the pass.
        assert (end - start >= a_step - 1) if last else start == end


def test_what_is_measured_in_between_is_not_sent(sent) -> None:
    engine = EagerEngine(Architecture(SHAPE), [Member(0, ADAMW)])
    engine.reduce = Buckets(engine.module)
    engine.train(TOKENS, LR, torch.Tensor.backward)
    count = len(sent)
    engine.measure(["noise_scale"], TOKENS[0])
    assert len(sent) == count == 3
