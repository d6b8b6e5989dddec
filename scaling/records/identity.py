"""The identity of a run, and of a training up to a step.

``run_id`` is a hash of the *science*: the fully resolved values that make the numbers. Where a
run happens, paths, devices and logging are not science and never reach this file.

Science is a plain dictionary (``scalinglab.scaling.run.resolve`` builds it) with the keys ``model,
data, optimizer, schedule, batch, steps, seed, precision, trainer, identity_version``; ``schedule``
is the list of the pieces over the whole history. If a run draws from several pools,
``data.mixture`` has the pieces of each pool's share in the same form, and is cut like the schedule.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import math
from collections.abc import Collection, Mapping
from typing import Any

from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.fields import historic_values
from scalinglab.scaling.model.architecture import NetworkOptions
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.schedule.pieces import Piece, prefix

IDENTITY_VERSION = 1


def historic_of(science: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that joined the science after runs had been recorded, with the value of those runs.

    At this value a key is left out of the hash, so old runs keep their ids. Each key declares its
    historic value (``scalinglab.scaling.fields.setting``). The class of an optimizer is looked up
    at each call, as an extension may have registered it just now.
    """
    groups: list[tuple[str, type]] = [
        ("", RunConfig),
        ("model.", NetworkOptions),
        ("data.", DataConfig),
    ]
    name = science.get("optimizer", {}).get("name")
    if name in OPTIMIZERS:
        groups.append(("optimizer.", OPTIMIZERS[name]))
    return {
        f"{group}{key}": value
        for group, cls in groups
        for key, value in historic_values(cls).items()
    }


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; anything but plain finite values is an error.

    Raises
    ------
    TypeError, ValueError
        On a value that has no single spelling: a non-string key, NaN, an object.
    """
    _check_plain(value, "")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _check_plain(value: Any, path: str) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            if not isinstance(key, str):
                raise TypeError(f"key {key!r} under '{path}' is not a string")
            _check_plain(child, f"{path}.{key}")
    elif isinstance(value, list):
        for i, child in enumerate(value):
            _check_plain(child, f"{path}[{i}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"'{path}' = {value}: only finite numbers can be part of an identity")
    elif not (value is None or isinstance(value, (str, int, float))):
        raise TypeError(
            f"'{path}' has the type {type(value).__name__}: only plain values can be "
            "part of an identity"
        )


def digest(value: Any, length: int = 10) -> str:
    """The first `length` base-32 letters (5 bits each) of the SHA-256 of the canonical JSON."""
    raw = hashlib.sha256(canonical_json(value).encode()).digest()
    return base64.b32encode(raw).decode().lower()[:length]


def run_id(science: Mapping[str, Any], historic: Mapping[str, Any] | None = None) -> str:
    """Short hash of a run's science: same id, same run; `historic` is `historic_of` it."""
    canonical = dict(science) | {"schedule": prefix(science_pieces(science), total_steps(science))}
    if mixture := _mixture_prefix(science, total_steps(science)):
        canonical["data"] = dict(science["data"]) | {"mixture": mixture}
    return digest(without_historic(canonical, historic))


def prefix_id(
    science: Mapping[str, Any], step: int, historic: Mapping[str, Any] | None = None
) -> str:
    """Short hash of a training up to `step`, equal for all runs that agree up to there."""
    so_far = {
        "family": family_id(science, historic),
        "schedule": prefix(science_pieces(science), step),
        "step": step,
    }
    if mixture := _mixture_prefix(science, step):
        so_far["mixture"] = mixture
    return digest(so_far, 16)


def family_id(science: Mapping[str, Any], historic: Mapping[str, Any] | None = None) -> str:
    """Short hash of the science without schedule, mixture and length.

    Runs of one family have the same initial weights and see the same tokens of each pool in the
    same order: their losses are not independent, and the analysis resamples them together.
    """
    copy = without(science, ("schedule", "steps", "data.mixture"))
    return digest(without_historic(copy, historic), 16)


def science_pieces(science: Mapping[str, Any]) -> list[Piece]:
    """The schedule of a science dictionary as pieces."""
    return [Piece(**piece) for piece in science["schedule"]]


def mixture_pieces(science: Mapping[str, Any]) -> dict[str, list[Piece]]:
    """Pool -> pieces of its share; empty for a run that draws from one pool."""
    mixture = science.get("data", {}).get("mixture") or {}
    return {pool: [Piece(**piece) for piece in pieces] for pool, pieces in mixture.items()}


def _mixture_prefix(science: Mapping[str, Any], step: int) -> dict[str, list[dict[str, Any]]]:
    return {pool: prefix(pieces, step) for pool, pieces in mixture_pieces(science).items()}


def total_steps(science: Mapping[str, Any]) -> int:
    """The length of a run, in steps."""
    steps: int = science["steps"]
    return steps


def without_historic(
    science: Mapping[str, Any], historic: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A copy without the keys that have their historic value."""
    copy = _copied(science)
    for path, value in (historic_of(science) if historic is None else historic).items():
        *groups, key = path.split(".")
        node = functools.reduce(lambda node, group: node.get(group, {}), groups, copy)
        if key in node and node[key] == value and type(node[key]) is type(value):
            del node[key]
    return copy


def with_historic(science: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which missing later keys have their historic value."""
    full = _copied(science)
    for path, value in historic_of(science).items():
        *groups, key = path.split(".")
        node = functools.reduce(lambda node, group: node.setdefault(group, {}), groups, full)
        node.setdefault(key, value)
    return full


def without(science: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """A copy without some dotted keys."""
    copy = _copied(science)
    for path in keys:
        *groups, key = path.split(".")
        functools.reduce(lambda node, group: node.get(group, {}), groups, copy).pop(key, None)
    return copy


def _copied(node: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _copied(v) if isinstance(v, dict) else v for k, v in node.items()}
