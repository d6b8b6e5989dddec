"""Initial weights: pure functions of their names, at the scales that each scheme promises."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from scalinglab.scaling.engine.network.initialization import initial_weights
from scalinglab.scaling.engine.network.transformer import Transformer
from scalinglab.scaling.model.architecture import Architecture
from scalinglab.scaling.model.placements import PLACEMENTS
from scalinglab.scaling.model.shape import Shape

SHAPE = Shape(depth=2, width=16, heads=2, mlp_width=64, context=12, vocab=20)
SMALL = Architecture(SHAPE)
LARGER = Shape(depth=3, width=128, heads=4, mlp_width=512, context=8, vocab=256)


def test_initial_weights_are_those_of_the_modules_parameters():
    names = {name: p.shape for name, p in Transformer(SMALL).named_parameters()}
    assert {name: w.shape for name, w in initial_weights(SMALL, 0)} == names


def test_a_weight_is_a_function_of_seed_and_name_alone():
    """Neither global random state nor what was made before it matters: a deeper model's first
    block, and a head of the same size beside more blocks, have the same weights."""
    torch.manual_seed(1)
    one = dict(initial_weights(SMALL, 3))
    torch.manual_seed(2)
    np.random.seed(3)
    deeper = dict(initial_weights(Architecture(dataclasses.replace(SHAPE, depth=4)), 3))
    same = [n for n in one if not n.endswith(("out.weight", "down.weight"))]
    assert all(torch.equal(one[name], deeper[name]) for name in same)
    scaled = "blocks.1.down.weight"  # divided by sqrt(2 L)
    torch.testing.assert_close(one[scaled] / 2**0.5, deeper[scaled])


def test_every_seed_and_every_name_has_its_own_weights():
    one, other = dict(initial_weights(SMALL, 0)), dict(initial_weights(SMALL, 1))
    matrices = [n for n in one if not n.endswith("gain")]
    assert all(not torch.equal(one[n], other[n]) for n in matrices)
    firsts = [float(one[n].flatten()[0]) for n in matrices]
    assert len(set(firsts)) == len(firsts)


def test_initial_scales():
    """Variance 1 / fan-in; writes to the residual stream divided by 2 L; embedding 1; gains 1."""
    weights = dict(initial_weights(Architecture(LARGER), 0))
    expected = {
        "embedding.weight": 1.0,
        "head.weight": 128**-0.5,
        "blocks.2.attention.query.weight": 128**-0.5,
        "blocks.2.attention.out.weight": (128 * 6) ** -0.5,
        "blocks.2.up.weight": 128**-0.5,
        "blocks.2.down.weight": (512 * 6) ** -0.5,
    }
    found = {name: float(weights[name].std()) for name in expected}
    assert found == pytest.approx(expected, rel=0.02)
    assert all(torch.all(w == 1) for name, w in weights.items() if name.endswith("gain"))


def test_initial_weights_never_change_silently():
    """A change here is a change of every run: identities must change with it."""
    weight = dict(initial_weights(SMALL, 7))["blocks.0.attention.query.weight"]
    assert weight[0, :3].tolist() == pytest.approx([-0.18785, 0.157443, -0.269777], abs=1e-6)


def test_a_tensor_is_drawn_rows_after_rows_as_if_at_once(monkeypatch):
    at_once = dict(initial_weights(SMALL, 0))
    monkeypatch.setattr("scalinglab.scaling.engine.network.initialization.ROWS_AT_ONCE", 7)
    assert all(torch.equal(weight, at_once[name]) for name, weight in initial_weights(SMALL, 0))


def deviations(**options: object) -> dict[str, float]:
    weights = dict(initial_weights(Architecture(LARGER, **options), 0))
    kinds = {
        "embedding": "embedding.weight",
        "query": "blocks.2.attention.query.weight",
        "value": "blocks.2.attention.value.weight",
        "out": "blocks.2.attention.out.weight",
        "up": "blocks.2.up.weight",
        "down": "blocks.2.down.weight",
        "head": "head.weight",
    }
    return {kind: float(weights[name].std()) for kind, name in kinds.items() if name in weights}


def test_small_init_is_one_deviation_but_for_what_writes_to_the_stream():
    """Transformers without Tears: sqrt(2 / 5 d); the writes over sqrt(2 L)."""
    small = (2 / (5 * 128)) ** 0.5
    expected = dict.fromkeys(("embedding", "query", "value", "up", "head"), small)
    expected |= dict.fromkeys(("out", "down"), small / 6**0.5)
    assert deviations(init="small") == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(
    ("placement", "gain"), [("deepnorm", 24**-0.25), ("sub_ln", math.log(6) ** 0.5)]
)
def test_gains_of_deepnet_and_magneto_are_on_values_and_the_mlp(placement, gain):
    found = deviations(placement=placement)
    expected = {
        "embedding": 1,
        "query": 128**-0.5,
        "value": gain * 128**-0.5,
        "out": gain * 128**-0.5,
        "up": gain * 128**-0.5,
        "down": gain * 512**-0.5,
        "head": 128**-0.5,
    }
    assert found == pytest.approx(expected, rel=0.02)


def test_a_tied_embedding_has_the_scale_of_a_head():
    assert deviations(tied_head=True)["embedding"] == pytest.approx(128**-0.5, rel=0.02)


def test_mimetic_products_lean_to_the_identity_and_away_from_it():
    """Diagonals of W_Q^T W_K of a head, cut to its rank, and of W_O W_V, which is not cut."""
    weights = dict(initial_weights(Architecture(LARGER, init="mimetic"), 0))
    query, key, value, out = (
        weights[f"blocks.1.attention.{name}.weight"].double()
        for name in ("query", "key", "value", "out")
    )
    product = out @ value
    assert float(product.diagonal().mean()) == pytest.approx(-0.4, abs=0.01)
    off = product - product.diagonal().diag()
    assert float(off.std()) == pytest.approx(0.4 * 128**-0.5, rel=0.02)
    for head in range(4):
        rows = slice(32 * head, 32 * (head + 1))
        attended = query[rows].T @ key[rows]
        assert torch.linalg.matrix_rank(attended) == 32
        assert float(attended.diagonal().mean()) > 0.2


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_under_lsuv_every_linear_map_gives_unit_variance(placement):
    """On other tokens than those it was scaled on, so to a few per cent."""
    architecture = Architecture(LARGER, init="lsuv", placement=placement)
    model, found = Transformer(architecture), {}
    model.load_state_dict(dict(initial_weights(architecture, 0)))
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(
                lambda _m, _i, out, name=name: found.update({name: float(out.detach().std())})
            )
    model(torch.randint(256, (256, 8), generator=torch.Generator().manual_seed(0)))
    assert len(found) == 3 * 6 + 1
    assert found == pytest.approx(dict.fromkeys(found, 1.0), rel=0.1)
    query = model.blocks[0].attention.query.weight.detach()
    gram = query @ query.T
    torch.testing.assert_close(gram / gram[0, 0], torch.eye(128), atol=1e-4, rtol=0)


def kernel(depth: int, width: int) -> torch.Tensor:
    """Products of the last hidden states of eight tokens under depth-mup, over seeds."""
    shape = Shape(
        depth=depth, width=width, heads=width // 16, mlp_width=4 * width, context=8, vocab=8
    )
    architecture = Architecture(
        shape, parametrization="completep", base_width=64, base_depth=4, depth_exponent=0.5
    )
    model, total = Transformer(architecture), torch.zeros(8, 8)
    for seed in range(3):
        model.load_state_dict(dict(initial_weights(architecture, seed)))
        with torch.no_grad():
            hidden = model.hidden(torch.arange(8)[None])[0]
        total += hidden @ hidden.T / width / 3
    return total


def test_with_branches_over_the_root_of_depth_both_limits_exist_and_commute():
    """arXiv 2302.00453: wider, then deeper, or the other way round, the features agree."""
    start, wide, deep, both = (kernel(*size) for size in ((8, 64), (8, 256), (32, 64), (32, 256)))
    lengths = [float(k.diagonal().mean()) for k in (start, wide, deep, both)]
    assert lengths == pytest.approx([2.0] * 4, rel=0.05)  # the embedding's 1 and the branches'
    assert float((both - wide).norm() / both.norm()) < 0.15
    assert float((both - deep).norm() / both.norm()) < 0.4  # at width 64 with more noise
