"""The recipe of a run: all its settings but size, tokens, seed and the values of rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scalinglab.scaling.config import RulesConfig
from scalinglab.scaling.fields import defaults, keys_of
from scalinglab.scaling.records.identity import without, without_historic
from scalinglab.scaling.records.initial_weights import KEY
from scalinglab.scaling.schedule.schedule import SCHEDULES
from scalinglab.scaling.schedule.stretches import WARMUP_TOKENS, default_warmup

# Keys in which the rungs of one ladder may differ; others make another recipe.
_RUNGS = {
    "model": {"depth", "width", "heads", "mlp_width"},  # compared as a ratio to the width, below
    "data": {"seed", "mixture"},  # by what was written, below
    "": {"schedule", "steps", "seed"},  # by what was written, below
}
_OWN = "model.options"  # whole numbers in the options of a person's own network are sizes
# Whether the warm-up has its default length: a tenth of a short run, rounded.
DEFAULT_WARMUP = "a default warm-up"
_MLP_ROUNDING = 4  # a gated MLP has the nearest multiple of 8 where two thirds are not whole
MIXED = "these runs mix recipes"  # how the sentence on differences begins
LR_RULE = "the rule or value of the LR"
_GOVERNED = [name for name in keys_of(RulesConfig) if name != "lr"]  # its rule or value is below


def recipe(
    science: Mapping[str, Any], config: Mapping[str, Any], shape: Mapping[str, Any]
) -> dict[str, Any]:
    """Name -> value of everything that runs of one ladder have in common.

    A rule stands for its values: they differ between rungs of one recipe.

    Parameters
    ----------
    science, config, shape : dict
        As in ``run.json`` and the record.
    """
    all_rules = RulesConfig.older(config.get("rule") or {})
    rules = {name: rule for name, rule in all_rules.items() if rule}
    science = without_historic(dict(science))
    common = {
        key: value
        for key, value in science.items()
        if key not in {*_RUNGS, *_RUNGS[""], "optimizer", *rules}
    }
    groups = {name: value for name, value in science.items() if isinstance(value, dict)}
    for group in ("model", "data"):
        common |= {
            f"{group}.{key}": value
            for key, value in groups[group].items()
            if key not in _RUNGS[group]
        }
    if _OWN in common:
        common[_OWN] = {k: v for k, v in common[_OWN].items() if type(v) is not int}
    if KEY in common:  # each rung has another
        common[KEY] = {k: v for k, v in config[KEY].items() if v}
    data_config = config["data"]
    target = data_config.get("match_repetition")
    if target:  # the pools of each rung follow from its tokens
        common.pop("data.unique_tokens")
        common["data.match_repetition"] = target
    if pools := groups["data"].get("pools"):
        if target:
            pools = {name: without(pool, ["unique_tokens"]) for name, pool in pools.items()}
        common["data.pools"] = pools
        common["data.mixture"] = data_config["mixture"] or data_config["weights"]
    schedule = _used_of_schedule(config["schedule"])
    if "warmup" in rules:
        schedule.pop("warmup_tokens", None)
    default = default_warmup(science["steps"], science["batch"] * shape["context"])
    return common | {
        DEFAULT_WARMUP: schedule.get("warmup_tokens") in (default, WARMUP_TOKENS),
        "optimizer": {key: value for key, value in groups["optimizer"].items() if key not in rules},
        **_proportions(shape, config["model"]),
        LR_RULE: config["optimizer"]["lr"] or rules.get("lr"),
        "schedule": schedule,
        **{f"the rule of {name}": rules.get(name) for name in _GOVERNED},
    }


def _proportions(shape: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, float]:
    """Ratios that all sizes of the shipped network have in common; other networks have none."""
    if not shape["heads"]:
        return {}
    width, mlp_width = shape["width"], shape["mlp_width"]
    mlp_ratio = mlp_width / width
    if model.get("mlp_width") is None and "mlp_ratio" in model:
        two_thirds = 2 * model["mlp_ratio"] / 3
        if abs(mlp_width - two_thirds * width) <= _MLP_ROUNDING:
            mlp_ratio = two_thirds  # rounded at some widths, which is no other recipe
    return {"model.head_dim": width / shape["heads"], "model.mlp_ratio": mlp_ratio}


def _used_of_schedule(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that a stored schedule uses; older runs have the keys of all kinds."""
    schedule = dict(stored)
    if schedule["kind"] in SCHEDULES:
        usual = defaults(SCHEDULES[schedule["kind"]])
        schedule = usual | {k: v for k, v in schedule.items() if k in usual}
    if schedule.get("warmup_tokens", 0) is None:  # its default; older runs have it as a number
        schedule["warmup_tokens"] = WARMUP_TOKENS
    return schedule


def ladder_mismatch(recipes: Iterable[Mapping[str, Any]]) -> str:
    """A sentence with the differences between the recipes of fitted runs; empty for one recipe."""
    differing = differences([*recipes])
    if not differing:
        return ""
    return f"{MIXED} ({', '.join(differing)}): one law is fitted to all of them"


def differences(recipes: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Name -> its value in each recipe, for each name by which some of the recipes differ.

    In the order of the names; an absent value is None.
    """
    alike = _with_one_warmup(recipes)
    values = {name: [one.get(name) for one in alike] for one in alike for name in one}
    return {name: values[name] for name in sorted(values) if _differ(values[name])}


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)


def _with_one_warmup(recipes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The recipes without what a default of all of them makes of a warm-up."""
    alike = [{k: v for k, v in one.items() if k != DEFAULT_WARMUP} for one in recipes]
    if not all(one.get(DEFAULT_WARMUP) for one in recipes):
        return alike
    return [one | {"schedule": without(one["schedule"], ["warmup_tokens"])} for one in alike]
