"""What the parametrizations promise, seen on models: equal movement at every width and depth."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import pytest

from scalinglab.scaling.engine.trainer.coordcheck import CoordinateCheck, coordinate_check
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model import parametrization
from scalinglab.scaling.model.options import ModelConfig
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS, OptimizerConfig
from scalinglab.scaling.read_options import from_dict

TINY = CoordinateCheck(
    widths=[64],
    depths=[2],
    parametrizations=["mup"],
    model=ModelConfig(head_dim=16, context=16),
    optimizer=OPTIMIZERS["adamw"](lr=0.01),
    steps=4,
    seeds=1,
)


def growth(name: str, optimizer: dict | None = None, **changes: object) -> float:
    """Movement of the last hidden state at the largest size over that at the smallest."""
    settings = from_dict(OptimizerConfig, {"lr": 0.01} | (optimizer or {}), "optimizer")
    check = dataclasses.replace(TINY, parametrizations=[name], optimizer=settings, **changes)
    rows = coordinate_check(check)
    return rows[-1]["hidden"] / rows[0]["hidden"]


def test_under_sp_wider_models_move_further():
    """Seen: 7 times from width 64 to 256, as every rate is that of the narrow one."""
    assert growth("sp", widths=[64, 256]) > 4


def test_under_mup_all_widths_move_alike():
    """Seen: 0.96."""
    assert 1 / 1.5 < growth("mup", widths=[64, 256]) < 1.5


def test_under_mup_deeper_models_move_further():
    """Seen: 23 times from depth 2 to 32; mup scales width alone."""
    assert growth("mup", depths=[2, 32]) > 5


def test_under_completep_all_depths_move_alike():
    """Seen: 0.85."""
    assert 1 / 1.5 < growth("completep", depths=[2, 32]) < 1.5


OTHERS = [
    {"name": "lion", "lr": 0.005},
    {"name": "sgd", "lr": 0.1, "clip": 1e6},
    {"name": "muon", "lr": 0.02},
    {"name": "muon", "lr": 0.02, "adjust_lr": "match_rms_adamw"},
    {"name": "adafactor", "lr": 0.02},
]


@pytest.mark.parametrize("optimizer", OTHERS, ids=lambda o: o.get("adjust_lr", o["name"]))
def test_other_optimizers_have_their_own_rule_for_width(optimizer):
    """Seen: 1.01, 0.95, 1.08, 1.12, 1.03."""
    assert 1 / 1.5 < growth("mup", optimizer, widths=[64, 256]) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OTHERS[:3], ids=lambda o: o["name"])
def test_and_for_depth(optimizer):
    """Seen: 0.90, 0.84 (mup 5.8), 0.78 (mup 3.8)."""
    assert 1 / 1.5 < growth("completep", optimizer, depths=[2, 32]) < 1.5
    assert growth("mup", optimizer, depths=[2, 32]) > 3


@pytest.mark.long
def test_a_tensor_with_a_wrong_rate_is_seen_where_the_last_state_hides_it(monkeypatch):
    """Gains of a fixed head under SGD with the rate of the width's: seen 4.0, right 0.5."""
    sgd = OPTIMIZERS["sgd"](lr=0.1, clip=1e6)
    check = dataclasses.replace(TINY, optimizer=sgd, widths=[64, 512], seeds=1)
    gain = "blocks.*.attention.query_norm.gain"

    def movement() -> tuple[float, float]:
        first, last = (row["tensors"] for row in coordinate_check(check))
        growth = {name: last[name] / first[name] for name in first}
        return growth.pop(gain), max(growth[n] for n in growth if "key_norm" not in n)

    right, others = movement()
    assert right < 1.5 and others < 1.5
    real = parametrization._base

    def heads_grow(architecture):
        head_dim = architecture.shape.head_dim / Fraction(architecture.width_ratio)
        return real(dataclasses.replace(architecture, base_head_dim=head_dim))

    monkeypatch.setattr(parametrization, "_base", heads_grow)
    wrong, others = movement()
    assert wrong > 4 * right and others < 1.5


def test_what_stays_within_documents_is_given_some():
    """Each token that ends one hides what is before it: else all would be as without."""
    moved = []
    for within in (True, False):
        keys = {"head_dim": 4, "context": 16, "mixer": {"within_documents": within}}
        check = dataclasses.replace(
            TINY, widths=[8, 16], model=from_dict(ModelConfig, keys), seeds=2
        )
        moved.append([row["hidden"] for row in coordinate_check(check)])
    assert moved[0] != pytest.approx(moved[1], rel=1e-3)


def test_movements_name_their_shape():
    check = dataclasses.replace(TINY, widths=[16, 32], depths=[1, 2], steps=1, seeds=1)
    rows = coordinate_check(check)
    assert [(r["axis"], r["width"], r["depth"]) for r in rows] == [
        ("width", 16, 1),
        ("width", 32, 1),
        ("depth", 16, 1),
        ("depth", 16, 2),
    ]
    assert all(r["hidden"] > 0 and r["logits"] > 0 for r in rows)
    assert {"embedding.weight", "blocks.*.up.weight", "head.weight"} <= set(rows[-1]["tensors"])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"parametrizations": ["up"]}, r"model\.parametrization = 'up' is not one of: sp, ntk"),
        ({"widths": [64, 100]}, r"model\.width = 100 is not divisible by model\.head_dim = 16"),
        ({"optimizer": OPTIMIZERS["soap"](lr=0.1)}, "'mup' has no rule .* 'soap'"),
        ({"optimizer": OPTIMIZERS["adamw"]()}, r"optimizer\.lr is not set"),
        ({"widths": [64], "depths": [2]}, "nothing to compare"),
        ({"depths": []}, "nothing to compare"),
        (
            {"widths": [64, 2**30]},
            r"model.width = 1073741824, model.depth .* GB, the machine has .* smaller",
        ),
        ({"steps": 0}, r"steps = 0: allowed is 1 or more"),
    ],
)
def test_what_cannot_be_checked_is_said_before_anything_is_trained(changes, sentence, monkeypatch):
    monkeypatch.setattr("scalinglab.scaling.engine.trainer.coordcheck.ENGINES", {})
    check = dataclasses.replace(TINY, **{"widths": [64, 128]} | changes)
    with pytest.raises(ConfigError, match=sentence):
        coordinate_check(check)
