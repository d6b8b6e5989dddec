"""A rule is a smooth power of N and D: it never rounds and never clamps."""

import pytest

from scaling.config import ConfigError, RuleConfig
from scaling.rules import peak_lr

COUNTS = {"n_block": 1_000, "n_matmul": 2_000, "n_total": 4_000}


def rule(**changes):
    fields = {"name": "r", "source": "here", "coefficient": 3.0, "n_exponent": -0.5,
              "d_exponent": 0.25}  # fmt: skip
    return RuleConfig(**(fields | changes))


@pytest.mark.parametrize(("count", "n"), COUNTS.items())
def test_it_is_the_power_it_says_in_the_count_it_names(count, n):
    lr = peak_lr(rule(count=count, n_unit=100.0, d_unit=10.0), COUNTS, 10_000)
    assert lr == pytest.approx(3.0 * (n / 100) ** -0.5 * 1000**0.25)


def test_it_has_the_same_slope_on_every_rung():
    """No clamp and no rounding: on log axes it is a straight line over 12 decades."""
    lrs = [peak_lr(rule(), {"n_matmul": 10**k}, 1) for k in range(1, 13)]
    assert [b / a for a, b in zip(lrs, lrs[1:], strict=False)] == pytest.approx([10**-0.5] * 11)


def test_an_unknown_count_is_refused():
    with pytest.raises(ConfigError, match=r"rule\.count = 'N' is not one of: n_block, n_matmul"):
        peak_lr(rule(count="N"), COUNTS, 1)
