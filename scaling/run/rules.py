"""Named rules for hyper-parameters as smooth functions of N, D, the batch and the LR.

A rule never clamps: a clamp that binds on some rungs and not on others measures itself (Porian et
al., arXiv 2406.19146). Only the batch is rounded, once, to whole sequences, and a plan reports a
large change. The constants stand in ``conf/rule/<hyper-parameter>/*.yaml``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from scalinglab.scaling.config import RuleConfig, RulesConfig, RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import keys_of
from scalinglab.scaling.schedule.pieces import settled
from scalinglab.scaling.schedule.stretches import WarmedConfig, default_warmup

MAX_ROUNDING = 0.02  # relative rounding of a batch that a plan does not report
# Rule -> the key that it sets, in the order in which they are determined after batch and LR.
_LATER = {
    "weight_decay": ("optimizer", "weight_decay"),
    "beta2": ("optimizer", "beta2"),
    "warmup": ("schedule", "warmup_tokens"),
}


@dataclass(frozen=True)
class Sizes:
    """The arguments of a rule; tokens, `lr` and `batch` once they are known."""

    counts: Mapping[str, int]
    tokens: int
    batch: float = float("nan")
    lr: float = float("nan")


@dataclass(frozen=True)
class Given:
    """The value of a rule: the rule's name, its exact value, and the rounded one that is used."""

    rule: str
    value: float
    used: float

    @property
    def rounding(self) -> float:
        """The relative change of the value by rounding."""
        return self.used / self.value - 1


@dataclass(frozen=True)
class Determined:
    """A configuration whose hyper-parameters are numbers, and the values of rules among them."""

    config: RunConfig
    lr: float
    given: dict[str, Given] = field(default_factory=dict)


def rule_value(rule: RuleConfig, sizes: Sizes) -> float:
    """coefficient * (N/n_unit)^n * (D/d_unit)^d * (B/b_unit)^b * lr^l, or `base` to that power.

    Parameters
    ----------
    rule : RuleConfig
        With `count` naming which N.
    sizes : Sizes
        N by its counts, D and the batch B in tokens, the peak LR.
    """
    value: float = (
        rule.coefficient
        * (sizes.counts[rule.count] / rule.n_unit) ** rule.n_exponent
        * (sizes.tokens / rule.d_unit) ** rule.d_exponent
    )
    if rule.b_exponent:
        value *= (sizes.batch / rule.b_unit) ** rule.b_exponent
    if rule.lr_exponent:
        value *= sizes.lr**rule.lr_exponent
    return value if rule.base is None else rule.base**value


def determine(config: RunConfig, counts: Mapping[str, int], context: int) -> Determined:
    """Set every open hyper-parameter to its rule's value, in the order of their dependence.

    The batch first, from N and D as written; then D is whole steps of it, and the rest follows.

    Raises
    ------
    ConfigError
        If a value and a rule for it are both set, or neither; a warm-up has a default.
    """
    rules = config.rule or RulesConfig()
    sizes = Sizes(counts, config.tokens)
    given: dict[str, Given] = {}
    batch = config.batch or 0
    if rule := _by_rule("batch", config.batch, rules.batch):
        given["batch"] = _whole_sequences(rule, sizes, context)
        batch = round(given["batch"].used / context)
    steps = -(-config.tokens // (batch * context))
    sizes = replace(sizes, tokens=steps * batch * context, batch=batch * context)
    lr = config.optimizer.lr
    if lr is None:
        if rules.lr is None:
            raise ConfigError("optimizer.lr is not set and there is no rule; set one of them")
        _check_scaled_once(config, rules.lr)
        lr = rule_value(rules.lr, sizes)
        given["lr"] = Given(rules.lr.name, lr, settled(lr))
    if not (lr > 0 and math.isfinite(lr)):
        raise ConfigError(f"optimizer.lr = {lr}: allowed is above 0 and finite")
    sizes = replace(sizes, lr=settled(lr))
    for name, (group, key) in _LATER.items():
        rule, options = getattr(rules, name), getattr(config, group)
        if key not in keys_of(type(options)):
            _refuse_unused(name, rule, options)
            continue
        value = getattr(options, key)
        if name == "warmup" and value is None and rule is None:
            continue
        if rule := _by_rule(f"{group}.{key}", value, rule, name):
            value = rule_value(rule, sizes)
            used = round(value) if name == "warmup" else settled(value)
            given[name] = Given(rule.name, value, used)
    warmup = default_warmup(steps, batch * context)
    return Determined(_filled(config, batch, given, warmup), sizes.lr, given)


def _refuse_unused(name: str, rule: RuleConfig | None, options: Any) -> None:
    """Refuse a rule for a key that the chosen optimizer or schedule does not have."""
    if rule is not None:
        group, key = _LATER[name]
        raise ConfigError(
            f"rule.{name} = {rule.name!r} gives {group}.{key}: {group}.{options.chooser} = "
            f"{getattr(options, options.chooser)!r} does not use it; allowed is rule.{name}=null"
        )


def _by_rule(
    key: str, value: float | None, rule: RuleConfig | None, name: str = "batch"
) -> RuleConfig | None:
    """The rule of a hyper-parameter; None if its value is set. Exactly one of both must be."""
    if value is None and rule is None:
        raise ConfigError(f"{key} is not set and there is no rule.{name}; set one of them")
    if value is not None and rule is not None:
        raise ConfigError(
            f"{key} = {value} is set, and rule.{name} = {rule.name!r} gives it too; allowed is one "
            f"of them: {key}=null or rule.{name}=null"
        )
    return rule


def _whole_sequences(rule: RuleConfig, sizes: Sizes, context: int) -> Given:
    if rule.b_exponent or rule.lr_exponent:
        raise ConfigError(
            f"rule.batch = {rule.name!r} depends on the batch or the LR, which are "
            "not known yet; allowed are n_exponent and d_exponent"
        )
    tokens = rule_value(rule, sizes)
    sequences = round(tokens / context)
    if sequences < 1:
        raise ConfigError(
            f"rule.batch = {rule.name!r} gives {tokens:.3g} tokens, less than a "
            f"sequence of model.context = {context}; allowed is at least one"
        )
    return Given(rule.name, tokens, float(sequences * context))


def _filled(config: RunConfig, batch: int, given: Mapping[str, Given], warmup: int) -> RunConfig:
    """The configuration with the values of rules except the LR, and with a warm-up."""
    optimizer: dict[str, Any] = {k: given[k].used for k in ("weight_decay", "beta2") if k in given}
    schedule = config.schedule
    if isinstance(schedule, WarmedConfig):
        if "warmup" in given:
            schedule = replace(schedule, warmup_tokens=int(given["warmup"].used))
        elif schedule.warmup_tokens is None:
            schedule = replace(schedule, warmup_tokens=warmup)
    return replace(
        config, batch=batch, optimizer=replace(config.optimizer, **optimizer), schedule=schedule
    )


def _check_scaled_once(config: RunConfig, rule: RuleConfig) -> None:
    name = config.model.parametrization
    if name != "sp" and rule.n_exponent:
        raise ConfigError(
            f"optimizer.lr is not set: model.parametrization = {name!r} scales it from the base "
            f"shape, and the rule {rule.name!r} would scale it with N again; set optimizer.lr, or "
            "a rule with n_exponent = 0"
        )
