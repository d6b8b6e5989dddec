"""Which steps of a run keep a checkpoint for probes: ``study.checkpoints``, not a part of science.

``{log: 8}``: eight steps at equal ratios from the first to the last; ``{every: 500}``: every 500th
step; ``[100, 1000]``: the steps named. The last step is kept in any case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from scalinglab.scaling.errors import ConfigError

KEY = "study.checkpoints"
_ALLOWED = "allowed are {log: 8}, {every: 500} and a list of steps, as in [100, 1000]"


def check_checkpoints(rule: Any) -> None:
    """Raise `ConfigError` unless a study's ``checkpoints`` can be read."""
    if rule is None:
        return
    if isinstance(rule, Mapping):
        if len(rule) == 1:
            ((kind, number),) = rule.items()
            least = {"log": 2, "every": 1}.get(str(kind))
            if least is not None and _is_step(number) and number >= least:
                return
            if least is not None:
                raise ConfigError(
                    f"{KEY}.{kind} = {number!r}: allowed is a whole number, {least} or more"
                )
    elif isinstance(rule, list) and all(_is_step(step) and step >= 1 for step in rule):
        return
    raise ConfigError(f"{KEY} = {rule!r}: {_ALLOWED}")


def _is_step(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)


def kept_steps(rule: Any, steps: int) -> list[int]:
    """The steps before the last of `steps` at which a run keeps a checkpoint, ascending.

    >>> kept_steps({"log": 4}, 1000), kept_steps({"every": 400}, 1000), kept_steps([10, 2000], 1000)
    ([1, 10, 100], [400, 800], [10])
    """
    if rule is None:
        return []
    chosen: Iterable[int]
    if not isinstance(rule, Mapping):
        chosen = map(int, rule)
    elif "log" in rule:
        last = int(rule["log"]) - 1
        chosen = (round(steps ** (i / last)) for i in range(last))
    else:
        chosen = range(int(rule["every"]), steps, int(rule["every"]))
    return sorted({step for step in chosen if step < steps})
