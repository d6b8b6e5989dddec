"""Every value that was left open is determined once; what cannot be trained is refused by name."""

import json

import pytest

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.run.resolve import resolve

RULE = {
    "name": "test",
    "source": "here",
    "coefficient": 0.02,
    "n_exponent": -0.5,
    "d_exponent": 0.25,
    "n_unit": 1e3,
    "d_unit": 1e3,
}


SHARD = {"execution.shard": True, "execution.processes": 2}
PROGRAM = {"trainer.kind": "command", "trainer.program": "titan"}

# ---------------------------------------------------------------------- what is derived


@pytest.mark.parametrize(("tokens", "steps"), [(64, 1), (65, 2), (640, 10)])
def test_a_run_has_whole_steps_and_says_how_many_tokens_that_are(tiny_run, tokens, steps):
    run = tiny_run({"tokens": tokens, "schedule.kind": "constant", "schedule.warmup_tokens": 0})
    assert (run.steps, run.tokens, run.tokens_per_step) == (steps, 64 * steps, 64)
    assert sum(piece.steps for piece in run.pieces) == steps


def test_an_explicit_lr_is_the_peak(tiny_run):
    run = tiny_run({"optimizer.lr": 0.0125})
    assert run.lr == 0.0125
    assert max(piece.end for piece in run.pieces) == 0.0125


def test_the_rule_gives_the_lr_from_n_and_d(tiny_run):
    run = tiny_run({"optimizer.lr": None, "rule": RULE})
    n, d = run.counts["n_matmul"], run.tokens
    assert run.lr == pytest.approx(0.02 * (n / 1e3) ** -0.5 * (d / 1e3) ** 0.25, rel=1e-9)


def test_an_explicit_lr_goes_before_the_rule_and_the_rule_is_then_no_science(tiny_run):
    assert tiny_run({"rule": RULE}).run_id == tiny_run().run_id


def test_a_rule_that_gives_the_same_lr_is_the_same_run(tiny_run):
    """The identity holds the number; how it was found is not what is trained."""
    by_rule = tiny_run({"optimizer.lr": None, "rule": RULE})
    assert tiny_run({"optimizer.lr": by_rule.lr}).run_id == by_rule.run_id


def test_the_last_bits_of_a_power_do_not_reach_the_identity(tiny_run):
    """Machines differ in them."""
    by_rule = tiny_run({"optimizer.lr": None, "rule": RULE})
    assert by_rule.lr == float(f"{by_rule.lr:.10g}")
    nudged = tiny_run({"optimizer.lr": by_rule.lr * (1 + 1e-13)})
    assert nudged.run_id == by_rule.run_id


def test_the_seed_of_the_data_order_follows_the_run_unless_it_is_set(tiny_run):
    assert tiny_run({"seed": 5}).science["data"]["seed"] == 5
    assert tiny_run({"seed": 5, "data.seed": 2}).science["data"]["seed"] == 2


def test_unique_tokens_are_whole_windows(tiny_run):
    assert tiny_run({"data.unique_tokens": 2600}).unique_tokens == 2592  # 162 windows of 16
    assert tiny_run().unique_tokens == 20_000  # 1250 windows; the last target needs one more


def test_science_is_plain_and_complete(tiny_run):
    science = tiny_run().science
    assert json.loads(json.dumps(science)) == science
    assert set(science) == {
        "identity_version",
        "model",
        "data",
        "optimizer",
        "schedule",
        "batch",
        "steps",
        "seed",
        "precision",
        "z_loss",
        "init_from",
        "trainer",
    }
    assert "lr" not in science["optimizer"]  # the schedule says it, at every step


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model.width": 18, "model.heads": 4},
            r"model\.width = 18 is not divisible by model\.heads = 4; allowed.*: 1, 3, 9$",
        ),
        ({"model.heads": 0}, r"model\.heads = 0; allowed heads for this width: 1, 2, 4, 8$"),
        (
            {"model.width": 24, "model.heads": None, "model.head_dim": 16},
            r"model\.width = 24 is not divisible by model\.head_dim = 16; allowed are multiples",
        ),
        ({"model.width": 6}, r"model\.width = 6 with model\.heads = 2 .*width 3.*even"),
        (
            {"tokens": 20_100},
            r"tokens = 20100 is 1\.01 epochs of the 20000 tokens.*max_epochs = 1 allows 20000",
        ),
        (
            {"data.unique_tokens": 1280, "data.max_epochs": 1.5},
            r"2\.00 epochs of the 1280 tokens.*data\.max_epochs = 1\.5 allows 1920",
        ),
        ({"data.unique_tokens": 30_000}, r"data\.unique_tokens = 30000.*has 20000 training tokens"),
        (
            {"data.validation_tokens": 2_000},
            r"data\.validation_tokens = 2000.*has 1024 validation tokens; allowed is \d+ to 1024",
        ),
        ({"data.validation_tokens": 15}, r"data\.validation_tokens = 15 .*model\.context = 16"),
        (
            {"schedule.warmup_tokens": 2560},
            r"schedule\.warmup_tokens = 2560 is 40 steps, longer than the run of 40 steps",
        ),
        ({"schedule.cooldown_fraction": 0.99}, r"schedule\.cooldown_fraction = 0\.99"),
        ({"optimizer.lr": None}, r"optimizer\.lr is not set and there is no rule"),
        ({"optimizer.lr": 0.0}, r"optimizer\.lr = 0\.0: allowed is above 0"),
        ({"optimizer.lr": -1.0}, r"optimizer\.lr = -1\.0: allowed is above 0"),
        (
            {"optimizer.lr": None, "rule": RULE | {"count": "n_all"}},
            r"rule\.lr\.count = 'n_all' is not one of: n_block, n_matmul, n_total",
        ),
        ({"optimizer.beta1": 1.0}, r"optimizer\.beta1 = 1\.0: allowed is 0 or more and below 1"),
        ({"optimizer.beta2": -0.1}, r"optimizer\.beta2 = -0\.1: allowed is 0 or more and below 1"),
        ({"optimizer.epsilon": 0.0}, r"optimizer\.epsilon = 0\.0: allowed is above 0"),
        ({"optimizer.clip": -1.0}, r"optimizer\.clip = -1\.0: allowed is above 0"),
        (
            {"optimizer.weight_decay": -0.1},
            r"optimizer\.weight_decay = -0\.1: allowed is 0 or more",
        ),
        ({"optimizer.name": "lino"}, r"optimizer\.name = 'lino' is not one of: adafactor"),
        ({"execution.engine": "egaer"}, r"execution\.engine = 'egaer' is not one of: auto, eager"),
        ({"execution.lease_seconds": 0.0}, r"execution\.lease_seconds = 0\.0: allowed is above 0"),
        ({"execution.checkpoint_seconds": -1}, r"execution\.checkpoint_seconds = -1\.0: allowed"),
        ({"model.rope_base": 0.0}, r"model\.rope_base = 0\.0: allowed is above 0"),
        ({"optimizer.lr": None, "rule": RULE | {"n_unit": 0}}, r"rule\.lr\.n_unit = 0\.0: allowed"),
        (
            {
                "optimizer.lr": None,
                "rule": RULE | {"n_exponent": -0.5},
                "model.parametrization": "mup",
                "model.base_width": 8,
            },
            r"optimizer\.lr is not set: model\.parametrization = 'mup' scales it from the base",
        ),
        ({"model.logit_softcap": 0.0}, r"model\.logit_softcap = 0\.0: allowed is above 0"),
        ({"model.base_width": 0}, r"model\.base_width = 0: allowed is 1 or more"),
        ({"precision": "auto"}, r"precision = 'auto' is not one of: fp32, tf32, bf16"),
        ({"precision": "tf32"}, r"allowed on execution.device = 'cpu' are fp32, bf16"),
        ({"execution.measure": ["logit"]}, r"execution\.measure = 'logit' is not one of: noise_sc"),
        ({"execution.measure": ["logits"], "execution.processes": 2}, r"measured is what one proc"),
        ({"z_loss": -1.0}, r"z_loss = -1\.0: allowed is 0 or more"),
        ({"execution.processes": 5}, r"execution\.processes = 5: .* batch = 4 sequences; allowed"),
        ({"execution.shard": True}, r"execution\.processes = 1 has nobody to share with; allowed"),
        (SHARD | {"execution.engine": "captured"}, r"'captured': .* are auto, eager, compiled"),
        (SHARD | {"batch": 5}, r"batch = 5: .* equal shares; allowed are multiples of 2 \(execut"),
        (PROGRAM | SHARD, r"execution\.shard = True is for trainer\.kind = 'engine'"),
        (PROGRAM | {"execution.deterministic": True}, r"deterministic = True is for trainer\.kind"),
        (
            {"execution.deterministic": True, "execution.engine": "compiled"},
            r"execution\.engine = 'compiled' times kernels .* are auto, eager, captured",
        ),
        ({"trainer.program": "titan"}, r"trainer\.program = 'titan' is for trainer\.kind = 'comm"),
        ({"trainer.options": {"x": 1}}, r"trainer\.options = .* is for trainer\.kind = 'command'"),
        ({"trainer.kind": "magic"}, r"trainer\.kind = 'magic' is not one of: engine, command"),
        ({"trainer.kind": "command"}, r"needs trainer\.program, the name"),
        (PROGRAM, r"needs execution\.command, the words .* placeholders are \{config\}"),
        (PROGRAM | {"execution.command": ["go", "{foldr}"]}, r"execution\.command has \{foldr\} i"),
        (PROGRAM | {"execution.command": ["go"], "precision": "auto"}, r"precision = 'auto' is no"),
        *(
            ({key: 0}, rf"{key} = 0: allowed is 1 or more")
            for key in (
                "tokens",
                "batch",
                "model.depth",
                "model.width",
                "model.context",
                "execution.threads",
                "execution.processes",
                "execution.micro_batch",
                "execution.loss_chunk",
                "model.mlp_ratio",
                "data.validation_tokens",
                "data.unique_tokens",
            )
        ),
    ],
    ids=str,
)
def test_mistakes_name_the_key_and_what_is_allowed(tiny_run, changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny_run(changes)


def test_repeating_is_allowed_when_it_is_asked_for(tiny_run):
    run = tiny_run({"data.unique_tokens": 1280, "data.max_epochs": 2.0})
    assert run.tokens / run.unique_tokens == 2


def test_a_manifest_with_other_content_is_another_run(tiny_config, tiny_store):
    run = resolve(tiny_config(), tiny_store.manifest)
    assert run.science["data"]["content"] == tiny_store.manifest.content_hash


def test_what_a_program_can_do_is_its_own_to_say(tiny_run):
    run = tiny_run(
        PROGRAM
        | {
            "execution.command": ["bash", "-c", "${HOME}/go {config}"],
            "precision": "bf16",
            "optimizer.name": "muon",
            "execution.processes": 64,
            "trainer.options": {"pipeline": 2},
        }
    )
    assert run.science["trainer"] == {
        "kind": "command",
        "program": "titan",
        "options": {"pipeline": 2},
    }
