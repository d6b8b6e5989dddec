"""A rule is a smooth power: published values, no clamp, one rounding that is told."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from scalinglab.scaling.config import RuleConfig, RulesConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.run.rules import Sizes, rule_value
from scalinglab.scaling.schedule.stretches import default_warmup

COUNTS = {"n_block": 1_000, "n_matmul": 2_000, "n_total": 4_000}
FIELDS = {"name": "r", "source": "here", "coefficient": 3.0, "n_exponent": -0.5, "d_exponent": 0.25}
SHIPPED = sorted(Path("conf/rule").glob("*/*.yaml"))


def rule(**changes) -> RuleConfig:
    return RuleConfig(**(FIELDS | changes))


def shipped(name: str) -> RuleConfig:
    return from_dict(RuleConfig, OmegaConf.to_container(OmegaConf.load(f"conf/rule/{name}.yaml")))


def value(name: str, n: float, tokens: float, **known) -> float:
    counts = dict.fromkeys(COUNTS, n)
    return rule_value(shipped(name), Sizes(counts, tokens, **known))


# ---------------------------------------------------------------------- the power


@pytest.mark.parametrize(("count", "n"), COUNTS.items())
def test_it_is_the_power_it_says_in_the_count_it_names(count, n):
    found = rule_value(rule(count=count, n_unit=100.0, d_unit=10.0), Sizes(COUNTS, 10_000))
    assert found == pytest.approx(3.0 * (n / 100) ** -0.5 * 1000**0.25)


def test_it_has_the_same_slope_on_every_rung():
    """No clamp and no rounding: on log axes it is a straight line over 12 decades."""
    found = [rule_value(rule(), Sizes({"n_matmul": 10**k}, 1)) for k in range(1, 13)]
    assert [b / a for a, b in itertools.pairwise(found)] == pytest.approx([10**-0.5] * 11)


def test_batch_and_lr_enter_as_powers_and_a_base_takes_them_up():
    sizes = Sizes(COUNTS, 10_000, batch=400.0, lr=0.5)
    plain = rule(n_exponent=0.0, d_exponent=0.0, b_exponent=0.5, b_unit=100.0, lr_exponent=-1.0)
    assert rule_value(plain, sizes) == pytest.approx(3 * 2 / 0.5)
    based = rule(n_exponent=0.0, d_exponent=0.0, b_exponent=1.0, b_unit=400.0, base=0.9)
    assert rule_value(based, sizes) == pytest.approx(0.9**3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": "N"}, r"rule\.count = 'N' is not one of: n_block, n_matmul"),
        ({"b_unit": 0.0}, r"rule\.b_unit = 0\.0: allowed is above 0"),
    ],
)
def test_mistakes_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(RuleConfig, FIELDS | changes, "rule")


def test_a_rule_by_itself_is_that_of_the_lr():
    """So it was written before other hyper-parameters had rules."""
    rules = from_dict(RulesConfig, FIELDS)
    assert rules == RulesConfig(lr=rule()) == from_dict(RulesConfig, {"lr": FIELDS})


# ---------------------------------------------------------------------- published values


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_shipped_rule_has_its_name_and_its_source(path):
    found = shipped(f"{path.parent.name}/{path.stem}")
    assert found.name == path.stem and len(found.source) > 20
    assert path.parent.name in RulesConfig.__dataclass_fields__


def test_the_published_rules_at_110_million_parameters_and_twenty_tokens_each():
    """LR 0.0017 to 0.0047 and batch 125k to 332k: why no rule is the hidden truth."""
    n, tokens = 1.10e8, 2.2e9
    lr = {name: value(f"lr/{name}", n, tokens) for name in ("porian", "steplaw", "deepseek")}
    assert lr["porian"] == pytest.approx(0.00467, rel=1e-3)
    assert lr["steplaw"] == pytest.approx(1.79 * n**-0.713 * tokens**0.307)
    assert lr["deepseek"] == pytest.approx(0.3118 * (6 * n * tokens) ** -0.125, rel=1e-4)
    batch = {name: value(f"batch/{name}", n, tokens) for name in ("porian", "steplaw", "deepseek")}
    assert batch["porian"] == pytest.approx(327_680 * (n / 1.08e8) ** (2 / 3), rel=1e-6)
    assert batch["steplaw"] == pytest.approx(0.58 * tokens**0.571)
    assert batch["deepseek"] == pytest.approx(0.2920 * (6 * n * tokens) ** 0.3271, rel=1e-4)
    assert 1.2e5 < min(batch.values()) and max(batch.values()) < 3.4e5


def test_deepseeks_seven_billion():
    """arXiv 2401.02954, table 2: 2304 sequences of 4096 and LR 4.2e-4 for 7B on 2T tokens."""
    assert value("lr/deepseek", 6.9e9, 2e12) == pytest.approx(4.2e-4, rel=0.1)
    assert value("batch/deepseek", 6.9e9, 2e12) == pytest.approx(2304 * 4096, rel=0.1)


def test_the_critical_batch_is_near_where_its_authors_needed_a_fifth_more_tokens():
    """Steps to one loss at batches of 256 and more, from the notebook of arXiv 2410.21676."""
    steps = {  # tokens in all -> batch in sequences of 512 -> steps
        1.74e9: {256: 13_282, 512: 7_000, 1024: 3_840, 2048: 2_500},
        3.07e9: {256: 24_000, 512: 11_951, 1024: 7_128, 2048: 4_200},
        6.14e9: {256: 46_000, 512: 23_400, 1024: 13_300, 2048: 7_224},
        1.229e10: {256: 81_000, 512: 37_440, 1024: 21_320, 2048: 11_400, 4096: 7_199},
        2.458e10: {256: 176_000, 1024: 46_500, 2048: 25_000, 4096: 15_360},
    }
    ratios = []
    for tokens, seen in steps.items():
        batches = np.array(list(seen))
        more = batches * list(seen.values()) / (256 * seen[256])
        measured = 2 ** np.interp(1.2, more, np.log2(batches))
        ratios.append(value("batch/critical", 1e9, tokens) / 512 / measured)
    assert 1 / 1.5 < min(ratios) and max(ratios) < 1.5
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(1, rel=0.15)


def test_the_timescale_of_weight_decay_is_constant():
    """tau = B / (lr wd D): what it is at the defaults, it is at any other point."""
    for batch, lr, tokens in ((2048, 0.013, 2**20), (65_536, 3e-3, 1e10), (4.2e6, 1e-4, 1e13)):
        decay = value("weight_decay/timescale", 1e8, tokens, batch=batch, lr=lr)
        assert batch / (lr * decay * tokens) == pytest.approx(1 / 0.6656)
    default = value("weight_decay/timescale", 1e8, 2**20, batch=2048, lr=0.013)
    assert default == pytest.approx(0.1, rel=1e-3)


def test_weight_decay_follows_root_batch_over_data_where_the_lr_follows_the_root():
    """nanochat's derivation: wd = wd0 sqrt(B / B0) (D0 / D) if LR goes with sqrt(B)."""
    decays = []
    for batch, tokens in ((2048.0, 1e6), (8192.0, 1e7)):
        lr = value("lr/sqrt_batch", 1e5, tokens, batch=batch)
        decays.append(value("weight_decay/timescale", 1e5, tokens, batch=batch, lr=lr))
    assert decays[1] / decays[0] == pytest.approx(math.sqrt(4) / 10)


def test_power_lines_timescale():
    decay = value("weight_decay/power_lines", 1e8, 2e9, batch=1e5, lr=1e-3)
    assert 1e5 / (1e-3 * decay * 2e9) == pytest.approx(1.084 * 20**-0.527, rel=1e-4)


def test_lr_grows_with_the_batch_as_named():
    for name, factor in (("sqrt_batch", 2.0), ("linear_batch", 4.0)):
        small, large = (value(f"lr/{name}", 1e5, 1, batch=b) for b in (2048.0, 8192.0))
        assert large / small == pytest.approx(factor)
        assert small == pytest.approx(value("lr/small", 1e5, 1))


def test_warmup_and_beta2():
    assert value("warmup/porian", 110_592, 1e6) == pytest.approx(110_592)
    assert value("warmup/fraction", 1e5, 1e6) == pytest.approx(5e4)
    for sequences in (32, 128, 512):
        found = value("beta2/memory", 1e8, 1e9, batch=sequences * 4096)
        assert found == pytest.approx(0.98 ** (sequences / 128))


# ---------------------------------------------------------------------- in a run

ALL = {
    "lr": {**FIELDS, "coefficient": 0.05, "d_exponent": 0.0, "n_unit": 1e3},
    "batch": {"name": "b", "source": "", "coefficient": 1.21, "d_exponent": 0.5},
    "weight_decay": {
        "name": "w",
        "source": "",
        "coefficient": 0.5,
        "b_exponent": 1,
        "lr_exponent": -1,
        "d_exponent": -1,
    },
    "warmup": {"name": "u", "source": "", "coefficient": 0.1, "n_exponent": 1},
    "beta2": {
        "name": "m",
        "source": "",
        "coefficient": 1,
        "b_exponent": 1,
        "b_unit": 64,
        "base": 0.95,
    },
}
OPEN = {
    "optimizer.lr": None,
    "batch": None,
    "optimizer.weight_decay": None,
    "optimizer.beta2": None,
    "schedule.warmup_tokens": None,
}


def test_every_value_that_was_left_open_is_its_rules(tiny_run):
    run = tiny_run(OPEN | {"rule": ALL})
    tokens = 1.21 * 2560**0.5  # 61.2: 4 sequences of 16
    assert run.config.batch == 4 and run.given["batch"].value == pytest.approx(tokens)
    assert run.given["batch"].rounding == pytest.approx(64 / tokens - 1)
    assert run.lr == pytest.approx(0.05 * (run.counts["n_matmul"] / 1e3) ** -0.5)
    assert run.config.optimizer.weight_decay == pytest.approx(0.5 * 64 / (run.lr * run.tokens))
    assert run.config.optimizer.beta2 == 0.95
    assert run.config.schedule.warmup_tokens == round(0.1 * run.counts["n_matmul"])
    assert run.written.batch is None and set(run.given) == set(ALL)


def test_a_warm_up_that_nobody_gave_fits_the_run(tiny_run):
    """65,536 tokens wherever that is less than the run, else a tenth of it."""
    steps = [default_warmup(steps, 2048) // 2048 for steps in (1, 8, 31, 32, 33, 1000)]
    assert steps == [0, 0, 3, 3, 32, 32]
    assert default_warmup(1000, 3000) == 65_536  # no whole number of steps
    run = tiny_run({"schedule.warmup_tokens": None})
    assert run.config.schedule.warmup_tokens == run.tokens // 10 == 64 * run.pieces[0].steps
    assert run.given == {}


def test_a_run_by_rules_is_the_run_with_their_values(tiny_run):
    """The identity holds the numbers; how they were found is not what is trained."""
    run = tiny_run(OPEN | {"rule": ALL})
    same = tiny_run(
        {
            "optimizer.lr": run.lr,
            "batch": run.config.batch,
            "optimizer.weight_decay": run.config.optimizer.weight_decay,
            "optimizer.beta2": run.config.optimizer.beta2,
            "schedule.warmup_tokens": run.config.schedule.warmup_tokens,
        }
    )
    assert same.run_id == run.run_id and same.given == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rule": ALL},
            r"batch = 4 is set, and rule\.batch = 'b' gives it too; allowed is one of "
            r"them: batch=null or rule\.batch=null",
        ),
        (OPEN, r"batch is not set and there is no rule\.batch"),
        ({"optimizer.beta2": None}, r"optimizer\.beta2 is not set and there is no rule\.beta2"),
        (
            {"batch": None, "rule": {"batch": ALL["batch"] | {"coefficient": 0.1}}},
            r"rule\.batch = 'b' gives 5\.06 tokens, less than a sequence of model\.context = 16",
        ),
        (
            {"batch": None, "rule": {"batch": ALL["batch"] | {"b_exponent": 1}}},
            r"rule\.batch = 'b' depends on the batch or the LR",
        ),
        (
            {"optimizer.beta2": None, "rule": {"beta2": ALL["beta2"] | {"base": 1.5}}},
            r"optimizer\.beta2 = 1\.5: allowed is 0 or more and below 1",
        ),
        ({"rule": {"momentum": FIELDS}}, r"unknown key 'rule\.momentum'"),
    ],
    ids=str,
)
def test_what_is_missing_or_said_twice_is_named(tiny_run, changes, message):
    with pytest.raises(ConfigError, match=message):
        tiny_run(changes)
