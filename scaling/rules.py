"""Named rules for hyper-parameters as smooth functions of N and D.

A rule never rounds and never clamps: a clamp that binds on some rungs and not on others measures
itself (Porian et al., arXiv 2406.19146). The constants stand in ``conf/rule/*.yaml``.
"""

from __future__ import annotations

from scaling.config import RuleConfig, one_of

COUNTS = ("n_block", "n_matmul", "n_total")


def peak_lr(rule: RuleConfig, counts: dict[str, int], tokens: int) -> float:
    """coefficient * (N / n_unit)^n_exponent * (D / d_unit)^d_exponent.

    Parameters
    ----------
    rule : RuleConfig
        With `count` naming which N.
    counts : dict
        From ``scaling.counts.parameter_counts``.
    tokens : int
        D, the training tokens.
    """
    one_of("rule.count", rule.count, COUNTS)
    n = counts[rule.count] / rule.n_unit
    d = tokens / rule.d_unit
    return rule.coefficient * n**rule.n_exponent * d**rule.d_exponent
