"""k members of a pack are k runs: same curves, gradients apart, one format of state."""

import dataclasses

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.engine.steps.engine import Member
from scalinglab.scaling.engine.steps.engines import ENGINES
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.shape import Shape
from scalinglab.scaling.optimizers.adamw import AdamWConfig
from scalinglab.scaling.run.step_options import StepOptions

SHAPE = Shape(depth=2, width=16, heads=2, mlp_width=64, context=16, vocab=11)
SMALL = Architecture(SHAPE)
ADAMW = AdamWConfig(beta1=0.9, beta2=0.95, epsilon=1e-8, weight_decay=0.1, clip=1.0)
MEMBERS = [
    Member(0, ADAMW),
    Member(1, ADAMW),
    Member(0, dataclasses.replace(ADAMW, beta2=0.99, weight_decay=0.5, clip=0.1)),
]
STEPS, BATCH = 8, 4
TOKENS = np.random.default_rng(0).integers(SHAPE.vocab, size=(STEPS, 3, BATCH, SHAPE.context + 1))
LR = np.random.default_rng(1).random((STEPS, 3)) * 0.02
WINDOWS = np.random.default_rng(2).integers(SHAPE.vocab, size=(30, SHAPE.context + 1))

# Others have a file of tests each: what is compiled takes minutes, what is captured a GPU.
pytestmark = pytest.mark.parametrize("name", ["eager"])


def engine(name, members=MEMBERS):
    return ENGINES[name](SMALL, members)


def train(target, steps=slice(None), rows=slice(None)):
    return target.train(TOKENS[steps, rows], LR[steps, rows], torch.Tensor.backward)


def same_state(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def assert_close_state(one, other):
    assert one.keys() == other.keys()
    for key, value in one.items():
        torch.testing.assert_close(value, other[key], rtol=1e-3, atol=1e-5, msg=key)


# ---------------------------------------------------------------------- micro-batches


@pytest.mark.parametrize("micro_batch", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("members", [MEMBERS[2:], MEMBERS], ids=["solo", "pack"])
def test_parts_of_a_batch_add_up_to_the_whole(name, members, micro_batch):
    """A batch of four in parts of three: the last part counts for a quarter."""
    rows = slice(3 - len(members), 3)
    whole, parts = engine(name, members), ENGINES[name](SMALL, members, micro_batch=micro_batch)
    expected, found = train(whole, rows=rows), train(parts, rows=rows)
    np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    np.testing.assert_allclose(found.grad_norm, expected.grad_norm, rtol=1e-4)
    for i in range(len(members)):
        assert_close_state(parts.state(i), whole.state(i))


def test_the_whole_batch_as_one_part_changes_no_bit(name):
    one, other = engine(name), ENGINES[name](SMALL, MEMBERS, micro_batch=BATCH)
    np.testing.assert_array_equal(train(one).loss, train(other).loss)
    assert same_state(one.state(1), other.state(1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_narrow_tokens_are_the_same_tokens(name, dtype):
    """To the last bit: a store's tokens become int64 on the device only."""
    wide, narrow = engine(name), engine(name)
    expected = train(wide)
    found = narrow.train(TOKENS.astype(dtype), LR, torch.Tensor.backward)
    np.testing.assert_array_equal(found.loss, expected.loss)
    np.testing.assert_array_equal(found.grad_norm, expected.grad_norm)
    assert all(same_state(narrow.state(i), wide.state(i)) for i in range(3))
    np.testing.assert_array_equal(narrow.evaluate(WINDOWS.astype(dtype)), wide.evaluate(WINDOWS))


def test_the_largest_tokens_survive_the_way_to_the_device(name):
    tokens = np.array([0, 2**15 - 1, 2**15, 2**16 - 1], dtype=np.uint16)
    assert engine(name)._moved(tokens).long().tolist() == tokens.tolist()


def test_a_large_vocabulary_is_validated_in_smaller_passes(name, monkeypatch):
    """Logits of all members count; where training makes no more of them either, they do not."""

    def at_once(members, **options):
        return ENGINES[name](SMALL, members, options=StepOptions(**options))._windows_at_once(17)

    whole = engine(name)
    assert at_once(MEMBERS) == 4096 // (17 * 3)
    expected = whole.evaluate(WINDOWS)
    monkeypatch.setattr(
        "scalinglab.scaling.engine.steps.eager.EVALUATION_BYTES", 4 * 11 * 17 * 6
    )  # of six windows
    assert (at_once(MEMBERS), at_once(MEMBERS[:1]), at_once(MEMBERS[:1], loss_chunk=40)) == (
        2,
        6,
        4096 // 17,
    )
    np.testing.assert_allclose(whole.evaluate(WINDOWS), expected, rtol=1e-6)


# ---------------------------------------------------------------------- packing


def test_a_pack_trains_its_members_as_they_train_alone(name):
    pack = engine(name)
    together = train(pack)
    for i, member in enumerate(MEMBERS):
        solo = engine(name, [member])
        alone = train(solo, rows=slice(i, i + 1))
        assert together.loss[:, i] == pytest.approx(alone.loss[:, 0], rel=1e-5)
        assert together.grad_norm[:, i] == pytest.approx(alone.grad_norm[:, 0], rel=1e-4)
        assert pack.evaluate(WINDOWS)[i] == pytest.approx(solo.evaluate(WINDOWS)[0], rel=1e-5)
        assert_close_state(pack.state(i), solo.state(0))


@pytest.fixture
def in_double(monkeypatch):
    """All that is float32 is float64."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def test_a_pack_differs_from_its_members_by_rounding_alone(name, in_double):
    """In float64 by 1e-13, in float32 by 1e-5 (above): it is the same arithmetic."""
    pack = engine(name)
    together = train(pack)
    for i, member in enumerate(MEMBERS):
        solo = engine(name, [member])
        alone = train(solo, rows=slice(i, i + 1))
        assert solo.module.weights.dtype == torch.float64
        np.testing.assert_allclose(together.loss[:, i], alone.loss[:, 0], rtol=1e-13)
        np.testing.assert_allclose(together.grad_norm[:, i], alone.grad_norm[:, 0], rtol=1e-11)
        for key, value in solo.state(0).items():
            torch.testing.assert_close(pack.state(i)[key], value, rtol=1e-9, atol=1e-12)


def test_the_first_loss_is_the_mean_of_the_plain_models(name):
    model = Transformer(SMALL)
    model.load_state_dict(dict(initial_weights(SMALL, seed=1)))
    tokens = torch.from_numpy(TOKENS[0, 1])
    logits = model(tokens[:, :-1])
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    assert train(engine(name)).loss[0, 1] == pytest.approx(expected.item(), rel=1e-6)


def test_one_members_tokens_do_not_reach_the_gradients_of_the_others(name):
    """Gradients of member i are the same bits whatever its neighbour reads."""
    expected = gradients(engine(name), TOKENS[0])
    for other in range(3):
        tokens = TOKENS[0].copy()
        tokens[other] = 0
        found = gradients(engine(name), tokens)
        for i in range(3):
            same = all(torch.equal(f[i], e[i]) for f, e in zip(found, expected, strict=True))
            assert same == (i != other)


def test_one_members_loss_has_exactly_no_gradient_in_the_others(name):
    target = engine(name)
    weights = list(target.module.parameters())
    losses, _ = target._losses(torch.from_numpy(TOKENS[0]))
    for i in range(3):
        for gradient in torch.autograd.grad(losses[i], weights, retain_graph=True):
            assert gradient[i].any()
            assert not gradient[[j for j in range(3) if j != i]].any()


def gradients(target, tokens_kBT):
    """Gradients of the sum of the losses, as the backward pass leaves them."""
    found = []

    def backward(total):
        total.backward()
        found.extend(p.grad.clone() for p in target.module.parameters())

    target.step(torch.from_numpy(tokens_kBT), torch.zeros(3, dtype=torch.float64), backward)
    return found


@pytest.mark.parametrize("poison", [1e13, float("nan")])
def test_a_member_that_diverges_leaves_the_others_bits_alone(name, poison):
    clean, broken = engine(name), engine(name)
    expected = train(clean)
    lr = LR.copy()
    lr[2, 0] = poison
    found = broken.train(TOKENS, lr, torch.Tensor.backward)
    assert not np.isfinite(found.loss[-1, 0])
    assert np.array_equal(found.loss[:, 1:], expected.loss[:, 1:])
    assert np.array_equal(found.grad_norm[:, 1:], expected.grad_norm[:, 1:])
    assert same_state(broken.state(2), clean.state(2))


# ---------------------------------------------------------------------- chunks


@pytest.mark.parametrize("members", [1, 3])
def test_cutting_into_chunks_does_not_change_a_bit(name, members):
    whole, parts = engine(name, MEMBERS[:members]), engine(name, MEMBERS[:members])
    rows = slice(members)
    expected = train(whole, rows=rows)
    pieces = [train(parts, slice(s, s + 1), rows) for s in range(STEPS)]
    assert np.array_equal(np.concatenate([p.loss for p in pieces]), expected.loss)
    assert np.array_equal(np.concatenate([p.grad_norm for p in pieces]), expected.grad_norm)
    assert same_state(parts.state(members - 1), whole.state(members - 1))
    assert parts.steps_done == whole.steps_done == STEPS


def test_evaluating_in_between_changes_nothing(name):
    one, other = engine(name), engine(name)
    expected = train(one)
    pieces = []
    for s in range(STEPS):
        pieces.append(train(other, slice(s, s + 1)).loss)
        other.evaluate(WINDOWS)
    assert np.array_equal(np.concatenate(pieces), expected.loss)


def test_results_are_float32_a_row_a_step(name):
    result = train(engine(name))
    assert result.loss.shape == result.grad_norm.shape == (STEPS, 3)
    assert result.loss.dtype == result.grad_norm.dtype == np.float32


# ---------------------------------------------------------------------- state


def test_state_is_named_by_part_and_parameter(name):
    parameters = {n: p.shape for n, p in Transformer(SMALL).named_parameters()}
    state = engine(name).state(0)
    parts = ("weight", "first", "second")
    assert state.keys() == {f"{part}/{n}" for part in parts for n in parameters}
    assert all(state[f"{part}/{n}"].shape == s for part in parts for n, s in parameters.items())


def test_a_fresh_engine_holds_the_initial_weights_and_no_moments(name):
    target = engine(name)
    for i, member in enumerate(MEMBERS):
        state = target.state(i)
        for n, weight in initial_weights(SMALL, member.seed):
            assert torch.equal(state[f"weight/{n}"], weight)
            assert not state[f"first/{n}"].any() and not state[f"second/{n}"].any()


def test_state_is_a_copy(name):
    target = engine(name)
    before = target.state(0)
    kept = {k: v.clone() for k, v in before.items()}
    train(target)
    assert same_state(before, kept)


@pytest.mark.parametrize("members", [1, 3])
def test_loading_a_state_goes_on_to_the_bit(name, members):
    rows, half = slice(members), STEPS // 2
    undisturbed = engine(name, MEMBERS[:members])
    expected = train(undisturbed, rows=rows)
    first = engine(name, MEMBERS[:members])
    train(first, slice(half), rows)
    # A new engine whose own initial weights are others.
    seeds = [dataclasses.replace(m, seed=99) for m in MEMBERS[:members]]
    second = engine(name, seeds)
    for i in range(members):
        second.load(i, first.state(i), half)
    found = train(second, slice(half, None), rows)
    assert np.array_equal(found.loss, expected.loss[half:])
    assert np.array_equal(found.grad_norm, expected.grad_norm[half:])


def test_a_state_moves_from_solo_to_pack_and_back(name):
    half = STEPS // 2
    expected = train(engine(name, [MEMBERS[1]]), rows=slice(1, 2))
    solo, pack, back = engine(name, [MEMBERS[1]]), engine(name), engine(name, [MEMBERS[1]])
    train(solo, slice(half), slice(1, 2))
    for i in range(3):
        pack.load(i, solo.state(0), half)
    assert same_state(pack.state(1), solo.state(0))
    middle = train(pack, slice(half, half + 2))
    back.load(0, pack.state(1), half + 2)
    end = train(back, slice(half + 2, None), slice(1, 2))
    found = np.concatenate([middle.loss[:, 1], end.loss[:, 0]])
    assert found == pytest.approx(expected.loss[half:, 0], rel=1e-5)


# ---------------------------------------------------------------------- evaluation


def test_evaluation_does_not_depend_on_how_windows_are_batched(name):
    """The mean over all windows is the mean of any parts, weighed by their sizes."""
    target = engine(name)
    whole = target.evaluate(WINDOWS)
    parts = [target.evaluate(WINDOWS[s]) for s in (slice(1), slice(1, 8), slice(8, None))]
    assert np.average(parts, axis=0, weights=[1, 7, 22]) == pytest.approx(whole, rel=1e-6)


def test_more_windows_than_fit_into_one_forward_pass(name):
    """Enough for several passes with a smaller last one."""
    from scalinglab.scaling.engine.steps import eager as module

    target = engine(name)
    windows = np.tile(WINDOWS, (12, 1))
    assert windows.size * 3 > 4 * module.EVALUATION_TOKENS
    assert target.evaluate(windows) == pytest.approx(target.evaluate(WINDOWS), rel=1e-6)


def test_evaluation_is_the_same_in_a_pack_and_alone(name):
    together = engine(name).evaluate(WINDOWS)
    alone = [engine(name, [member]).evaluate(WINDOWS)[0] for member in MEMBERS]
    assert together == pytest.approx(alone, rel=1e-6)


# ---------------------------------------------------------------------- weight decay


def test_decay_reaches_matrices_of_blocks_and_the_head_and_nothing_else(name):
    """With moments that give no update, one step moves exactly the decayed weights."""
    frozen = dataclasses.replace(ADAMW, weight_decay=1.0, epsilon=1e30)
    target = engine(name, [Member(0, frozen)])
    before = target.state(0)
    target.train(TOKENS[:1, :1], np.full((1, 1), 0.125), torch.Tensor.backward)
    after = target.state(0)
    for n, p in Transformer(SMALL).named_parameters():
        weight = before[f"weight/{n}"]
        expected = weight * 0.875 if p.dim() == 2 and n != "embedding.weight" else weight
        torch.testing.assert_close(after[f"weight/{n}"], expected, rtol=1e-6, atol=0, msg=n)
