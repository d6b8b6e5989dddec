"""What the golden records are made of: configurations as plain values, with dotted keys.

Nothing here imports the product: a case is what a person writes.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

RATES = str(Path(__file__).parent / "rates.csv")
# One step is 4 sequences of 16 tokens: 64 tokens. Not that of tests/conftest.py, which may change:
# golden ids and curves are of this one.
TINY: dict[str, Any] = {
    "model": {"depth": 1, "width": 16, "heads": 2, "context": 16},
    "data": {
        "source": "markov",
        "options": {"vocab": 8, "successors": 4, "tokens": 20_001, "validation_tokens": 1_025},
        "validation_tokens": 512,
    },
    "optimizer": {"lr": 0.01},
    "schedule": {"kind": "wsd", "warmup_tokens": 256, "cooldown_fraction": 0.25},
    "tokens": 64 * 40,
    "batch": 4,
}
# The data of every identity: that of the standard library differs between Pythons.
MANIFEST: dict[str, Any] = {
    "source": "any",
    "options": {},
    "vocab": 256,
    "dtype": "uint8",
    "train_tokens": 50_000_001,
    "validation_tokens": 300_001,
    "bytes_per_token": 1.0,
    "content_hash": "0123456789abcdef",
    "facts": {},
}

_MUP = {"model.parametrization": "mup", "model.base_width": 8}
_COMPLETEP = {"model.parametrization": "completep", "model.base_width": 8, "model.base_depth": 1}
_SETTINGS: dict[str, dict[str, Any]] = {  # values that no file of conf/ and no default has
    "adamw": {"beta1": 0.8, "beta2": 0.97, "epsilon": 1e-6, "weight_decay": 0.0, "clip": 0.5},
    "sgd": {"momentum": 0.5, "nesterov": True, "weight_decay": 0.01},
    "lion": {"beta1": 0.8, "beta2": 0.97},
    "muon": {
        "momentum": 0.9,
        "nesterov": False,
        "orthogonal_steps": 4,
        "adamw_lr": 0.5,
        "adjust_lr": "match_rms_adamw",
    },
    "nadamw": {"momentum_decay": 0.01},
    "adafactor": {"beta2_decay": -0.7, "scale_floor": 0.01, "update_clip": 2.0},
    "schedule_free": {"average_power": 1.0},
    "soap": {"refresh_steps": 3},
    "adamp": {"delta": 0.2, "decay_ratio": 0.2},
    "normalized": {"momentum": 0.5},
}
OPTIMIZERS = tuple(_SETTINGS)
# Kind of schedule -> two sets of its keys.
SCHEDULES: dict[str, list[dict[str, Any]]] = {
    "constant": [{}, {"warmup_tokens": 0}],
    "wsd": [{}, {"cooldown_shape": "sqrt", "final_ratio": 0.1, "cooldown_fraction": 0.5}],
    "cosine": [{}, {"final_ratio": 0.1}],
    "linear": [{}, {"warmup_tokens": 128, "final_ratio": 0.1}],
    "multistep": [{}, {"milestones": [0.5, 0.75], "factor": 0.5}],
    "inverse_sqrt": [{"cooldown_fraction": 0}, {"timescale_tokens": 320}],
    "power": [
        {"coefficient": 2},
        {"coefficient": 4, "exponent": 0.4, "cooldown_shape": "exponential", "final_ratio": 0.01},
    ],
    "infinite": [
        {"cool_tokens": 512, "final_ratio": 0.01},
        {
            "cool_tokens": 512,
            "cool_shape": "inverse_sqrt",
            "hold_ratio": 0.25,
            "cooldown_shape": "exponential",
            "final_ratio": 0.02,
        },
    ],
    "cyclic": [{"cycles": 2}, {"cycles": 2, "rewarm_tokens": 64, "cooldown_shape": "cosine"}],
    "rewarm": [
        {"before": {"kind": "cosine", "warmup_tokens": 256, "tokens": 640}, "rewarm_tokens": 64},
        {
            "before": {"kind": "constant", "warmup_tokens": 128, "tokens": 640, "lr": 0.02},
            "rewarm_tokens": 128,
            "cooldown_shape": "square",
        },
    ],
    "pieces": [
        {
            "pieces": [
                {"shape": "linear", "tokens": 256, "end": 1},
                {"shape": "constant"},
                {"shape": "mirror_cosine", "fraction": 0.25, "end": 0},
            ]
        },
        {
            "pieces": [
                {"shape": "linear", "tokens": 128, "start": 0.1, "end": 1},
                {"shape": "square", "end": 0.2},
            ]
        },
    ],
    "file": [{"path": RATES}],
}
WHOLE = ("rewarm", "pieces", "file")  # they say themselves how they begin
MODELS: dict[str, list[dict[str, Any]]] = {
    "depth": [{"model.depth": 2}],
    "width": [{"model.width": 32}],
    "heads": [{"model.heads": 4}],
    "aspect": [{"model.width": None, "model.heads": None, "model.aspect": 32}],
    "head_dim": [{"model.heads": None, "model.head_dim": 4}],
    "mlp_ratio": [{"model.mlp_ratio": 2}],
    "mlp_width": [{"model.mlp_width": 40}],
    "context": [{"model.context": 32}],
    "rope_base": [{"model.rope_base": 500.0}],
    "loops": [{"model.loops": 2}],
    "dropout": [{"model.dropout": 0.25}],
    "mixer": [
        {"model.mixer.queries_per_key": 2},
        {"model.mixer.queries_per_key": None, "model.mixer.positions": "none"},
        {"model.mixer": {"name": "attention", "window": 4, "positions": "alibi"}},
        {"model.mixer": {"name": "gated_linear", "chunk": 8}},
        {"model.mixer": {"name": "differential"}},
    ],
    "feed_forward": [
        {"model.feed_forward": {"name": "moe"}},
        {
            "model.feed_forward": {
                "name": "moe",
                "experts": 4,
                "top_k": 1,
                "shared": 1,
                "granularity": 2,
                "capacity": 1.0,
                "balance": "bias",
                "router_z_loss": 1e-3,
            }
        },
        {"model.feed_forward": {"name": "moe", "capacity": None, "balance": "none"}},
        {"model.feed_forward": {"name": "moe", "capacity": None, "dispatch": "sorted"}},
        {"model.feed_forward": {"name": "moe", "gates": "sigmoid", "balance": "bias"}},
        {"model.feed_forward": {"name": "expert_choice", "experts": 4, "capacity": None}},
    ],
    "activation": [
        {"model.activation": "relu"},
        {"model.activation": "gelu"},
        {"model.activation": "swiglu", "model.mlp_width": 40},
        {"model.activation": "geglu", "model.mlp_width": 40},
    ],
    "norm": [{"model.norm": "layernorm"}, {"model.norm": "none"}],
    "linear": [
        {"model.linear": {"name": "low_rank", "rank": 0.25}},
        {"model.linear": {"name": "monarch", "blocks": 2, "within": "mixer"}},
    ],
    "residual": [
        {"model.residual": "layer_scale"},
        {"model.residual": {"name": "hyper", "streams": 2, "dynamic": False}},
    ],
    "placement": [
        {"model.placement": name}
        for name in ("post", "peri", "deepnorm", "normformer", "sub_ln", "hybrid", "parallel")
    ],
    "post_fraction": [{"model.placement": "mix", "model.depth": 2, "model.post_fraction": 0.5}],
    "norm_scale": [{"model.norm_scale": "inverse_sqrt_layer"}],
    "qk_norm": [{"model.qk_norm": False}],
    "embedding_scale": [{"model.embedding_scale": "sqrt_width"}, {"model.embedding_scale": "norm"}],
    "init": [{"model.init": name} for name in ("small", "mimetic", "lsuv")],
    "logit_softcap": [{"model.logit_softcap": 15.0}],
    "tied_head": [{"model.tied_head": True}],
    "bias": [{"model.bias": True}],
    "parametrization": [_MUP, _MUP | {"model.parametrization": "ntk"}, _COMPLETEP],
    "base_width": [_MUP | {"model.base_width": 32}],
    "base_depth": [_COMPLETEP | {"model.depth": 2, "model.base_depth": 3}],
    "base_head_dim": [_MUP | {"model.base_head_dim": 4}],
    "depth_exponent": [_COMPLETEP | {"model.depth": 2, "model.depth_exponent": 0.5}],
    "decay_rule": [_MUP | {"model.decay_rule": name} for name in ("sqrt", "constant")],
}
_POOLS = {
    "data.pools": {
        "a": {"source": "markov", "options": TINY["data"]["options"]},
        "b": {
            "source": "markov",
            "options": TINY["data"]["options"] | {"seed": 1},
            "unique_tokens": 640,
            "max_epochs": 4,
            "noise": 0.125,
        },
    },
    "data.source": "stdlib",
    "data.options": {},
}
DATA: dict[str, list[dict[str, Any]]] = {
    "source": [{"data.source": name, "data.options": {}} for name in ("stdlib", "text", "tokens")],
    "tokenizer": [
        {"data.source": "jsonl", "data.options": {}, "data.tokenizer": {"name": "bpe"}}
    ],  # what it makes is in the content hash, too
    "options": [{"data.options": {"vocab": 16}}],  # what they make is in the content hash
    "validation_tokens": [{"data.validation_tokens": 256}],
    "unique_tokens": [{"data.unique_tokens": 2560}],
    "max_epochs": [{"data.unique_tokens": 640, "data.max_epochs": 4}],
    "seed": [{"data.seed": 3}],
    "pools": [_POOLS | {"data.weights": {"a": 0.25, "b": 0.75}}],
    "weights": [_POOLS | {"data.weights": {"a": 1.0}}],
    "mixture": [
        _POOLS
        | {
            "data.mixture": [
                {"weights": {"a": 0.5, "b": 0.5}, "tokens": 640},
                {"end": {"b": 1.0}, "fraction": 0.25},
                {},
            ]
        }
    ],
    "match_repetition": [
        {"data.unique_tokens": 2560, "data.match_repetition": 64 * 80, "data.max_epochs": 2}
    ],
    "noise": [{"data.noise": 0.25}],
    "select": [
        {"data.select": {"keep": "top", "by": "score", "fraction": 0.25}},
        {"data.select": {"where": "score > 0.5", "keep": "random", "skip": 0.5, "seed": 2}},
    ],
    "weight": [{"data.weight": "score"}],
    "validation_select": [{"data.validation_select": {"where": "score > 0.5"}}],
}
RUN: dict[str, list[dict[str, Any]]] = {
    "tokens": [{"tokens": 64 * 80}],
    "batch": [{"batch": 8}],
    "seed": [{"seed": 7}],
    "precision": [{"precision": "bf16"}],
    "z_loss": [{"z_loss": 1e-4}],
}
TRAINERS: dict[str, list[dict[str, Any]]] = {
    "kind": [{"trainer.kind": "command", "trainer.program": "one", "execution.command": ["-"]}],
    "program": [
        {
            "trainer.kind": "command",
            "trainer.program": "two",
            "execution.command": ["-"],
            "precision": "fp8",
        }
    ],
    "options": [
        {
            "trainer.kind": "command",
            "trainer.program": "one",
            "execution.command": ["-"],
            "trainer.options": {"a": 1, "b": {"c": [1.5, "x"]}},
        }
    ],
}
# How a run is executed is never part of its identity.
EXECUTION: dict[str, Any] = {
    "engine": "eager",
    "device": "cpu",
    "threads": 2,
    "processes": 2,
    "shard": False,
    "micro_batch": 1,
    "loss_chunk": 16,
    "recompute": True,
    "deterministic": True,
    "measure": ["logits"],
    "validate": ["other"],
    "command": ["python"],
    "keep_slurm": True,
    "checkpoint_seconds": 5.0,
    "lease_seconds": 5.0,
    "hang_seconds": 5.0,
}
# Groups of conf/ as overrides, everything that is shipped but studies and launches: composing takes
# its time, so a line chooses several groups.
_SHIPPED = [
    [f"optimizer={name}" for name in OPTIMIZERS],
    [f"schedule={name}" for name in SCHEDULES if name != "file"],
    [f"model={name}" for name in ("transformer", "gpt2", "llama", "gemma2", "nanochat")],
]
_BASE = ["model.base_width=32", "model.base_depth=1"]
_RULES = [
    *(f"rule={name}" for name in ("small", "porian", "deepseek", "steplaw")),
    *(
        f"rule/lr={name}"
        for name in ("deepseek", "sqrt_batch", "porian", "linear_batch", "small", "steplaw")
    ),
    *(f"rule/batch={name} batch=null" for name in ("deepseek", "porian", "critical", "steplaw")),
    *(f"rule/warmup={name} schedule.warmup_tokens=null" for name in ("porian", "fraction")),
    *(
        f"rule/weight_decay={name} optimizer.weight_decay=null"
        for name in ("timescale", "power_lines")
    ),
    "rule/beta2=memory optimizer.beta2=null",
]
GROUPS: list[list[str]] = [
    *(" ".join(filter(None, line)).split() for line in itertools.zip_longest(*_SHIPPED)),
    *(line.split() for line in _RULES),
    *(
        [f"parametrization={name}", "model.base_width=32", "optimizer.lr=0.01"]
        for name in ("mup", "ntk")
    ),
    ["parametrization=completep", *_BASE, "optimizer.lr=0.01"],
    ["schedule=file", f"schedule.path='{RATES}'"],
    ["data=markov", "trainer=command", "trainer.program=one", "execution.command=[x]"],
]
STUDIES = (
    "batch_lr",
    "conventions",
    "emergence",
    "isoflop",
    "ladder",
    "loops",
    "lr_sensitivity",
    "lr_sweep",
    "lr_transfer",
    "markov",
    "mixture",
    "moe",
    "nd_grid",
    "norm_depth",
    "optimizers",
    "overtrain",
    "quality",
    "quickstart",
    "repeat_data",
    "schedules",
    "sources",
    "tasks",
    "tune",
    "vocabulary",
)


# What was a run before an option that a choice does not use was refused, and the same run as it is
# written now. Variants by name; groups as the records have them.
REFUSED_VARIANTS: dict[str, tuple[dict[str, Any], str]] = {
    f"schedule.{kind}.{i}": (
        {
            "schedule": {"kind": kind, "warmup_tokens": 64 if (kind, i) == ("file", 1) else 256}
            | keys
        },
        f"schedule.{kind}.{min(i, len(SCHEDULES[kind]) - 1)}",
    )
    for kind in WHOLE
    for i, keys in enumerate((SCHEDULES[kind] * 2)[:2])
}
REFUSED_GROUPS: dict[str, str] = {
    f"parametrization={name} {' '.join(_BASE)} optimizer.lr=0.01": (
        f"parametrization={name} model.base_width=32 optimizer.lr=0.01"
    )
    for name in ("mup", "ntk")
}


def variants() -> dict[str, dict[str, Any]]:
    """Every case by its name: the tiny run, and what is changed in it, by dotted keys."""
    cases: dict[str, dict[str, Any]] = {"tiny": {}}
    for group, options in (("model", MODELS), ("data", DATA), ("run", RUN), ("trainer", TRAINERS)):
        cases |= {
            f"{group}.{key}.{i}": changes
            for key, several in options.items()
            for i, changes in enumerate(several)
        }
    for name, settings in _SETTINGS.items():
        base = optimizer(name)
        cases[f"optimizer.{name}"] = base
        cases |= {
            f"optimizer.{name}.{key}": base | {f"optimizer.{key}": value}
            for key, value in settings.items()
        }
    for kind, several in SCHEDULES.items():
        cases |= {f"schedule.{kind}.{i}": schedule(kind, keys) for i, keys in enumerate(several)}
    return cases


def optimizer(name: str) -> dict[str, Any]:
    """The tiny run with another optimizer."""
    return {"optimizer": {"name": name, "lr": 0.01}}


def schedule(kind: str, keys: dict[str, Any]) -> dict[str, Any]:
    """The tiny run with another schedule."""
    warmup = {} if kind in WHOLE else {"warmup_tokens": 256}
    return {"schedule": {"kind": kind} | warmup | keys}


def trained() -> dict[str, dict[str, Any]]:
    """The cases whose curves are kept: some steps of each optimizer and schedule."""
    plain = {"tiny": {}, "bf16": {"precision": "bf16"}, "z_loss": {"z_loss": 1e-2}}
    optimizers = {f"optimizer.{n}": optimizer(n) for n in OPTIMIZERS} | {
        f"optimizer.{name}.set": optimizer(name) | {f"optimizer.{k}": v for k, v in keys.items()}
        for name, keys in _SETTINGS.items()
    }
    schedules = {
        f"schedule.{kind}": schedule(kind, several[-1]) for kind, several in SCHEDULES.items()
    }
    return {
        name: changes | {"tokens": 64 * 10} for name, changes in (plain | optimizers).items()
    } | {name: changes | {"tokens": 64 * 20} for name, changes in schedules.items()}


def trained_models() -> dict[str, dict[str, Any]]:
    """The same of each option of the model."""
    return {
        name: changes | {"tokens": 64 * 10}
        for name, changes in variants().items()
        if name.startswith("model.")
    }


# Ways to execute the tiny run that must give its curve.
ENGINES: dict[str, dict[str, Any]] = {
    "eager": {"engine": "eager"},
    "micro_batch": {"micro_batch": 1},
    "loss_chunk": {"loss_chunk": 16},
    "recompute": {"recompute": True},
    "deterministic": {"deterministic": True},
}
SLOW_ENGINES: dict[str, dict[str, Any]] = {
    "compiled": {"engine": "compiled"},
    "processes": {"processes": 2},
    "shard": {"processes": 2, "shard": True},
}
DEVICE_ENGINES: dict[str, dict[str, Any]] = {
    f"cuda.{name}": {"device": "cuda", "engine": name}
    for name in ("eager", "compiled", "captured", "captured_compiled")
}


def changed(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of nested values with dotted keys set."""
    result = _copy(base)
    for path, value in changes.items():
        *groups, key = path.split(".")
        node = result
        for group in groups:
            node = node.setdefault(group, {})
        node[key] = _copy(value)
    return result


def _copy(value: Any) -> Any:
    return {k: _copy(v) for k, v in value.items()} if isinstance(value, dict) else value
