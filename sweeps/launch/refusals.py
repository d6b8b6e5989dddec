"""Why SLURM would refuse a job: its own sentence, the keys it is about, and what is allowed.

SLURM's sentences seldom name an option ("Requested node configuration is not available"). So SLURM
is asked again without each option in turn: an option without which it takes the job is to blame. If
there is none, the options are named that SLURM refuses alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from typing import Any

from scalinglab.sweeps.config import SlurmConfig
from scalinglab.sweeps.launch import scheduler

# Key of launch.slurm -> option of sbatch.
_OPTIONS = {
    "minutes": "time",
    "nodes": "nodes",
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "constraint": "constraint",
    "exclude": "exclude",
    "cpus": "cpus-per-task",
    "gpus": "gpus-per-node",
    "memory_gb": "mem",
}
PROBE_SECONDS = 30.0  # a slow SLURM is asked no more questions after that
# The place of a job: without it another option may mean something else.
_PLACE = ("partition", "account", "qos")


def refusal(slurm: SlurmConfig, where: str) -> str | None:
    """Why SLURM would refuse a job of some class; None if it would take it.

    Parameters
    ----------
    slurm : SlurmConfig
        What the job asks for.
    where : str
        The name of its group in the configuration, as "launch.slurm".
    """
    flags = _flags(slurm)
    reason = scheduler.refusal(_given(flags))
    return None if reason is None else f"{reason}{_about(slurm, flags, where)}"


def about(slurm: SlurmConfig, where: str) -> str:
    """Which options of a refused job SLURM objects to; empty if it would take the job now."""
    flags = _flags(slurm)
    return "" if scheduler.refusal(_given(flags)) is None else _about(slurm, flags, where)


def memory(slurm: SlurmConfig) -> str | None:
    """The memory of a node, as sbatch takes it."""
    return None if slurm.memory_gb is None else f"{math.ceil(slurm.memory_gb * 1024)}M"


def _flags(slurm: SlurmConfig) -> dict[str, tuple[str, Any]]:
    """Key of the configuration -> option of sbatch and its value, for the options with a value."""
    values = {key: getattr(slurm, key) for key in _OPTIONS}
    values |= {"gpus": slurm.gpus or None, "memory_gb": memory(slurm)}
    flags = {key: (_OPTIONS[key], value) for key, value in values.items() if value is not None}
    return flags | {f"extra.{name}": (name, value) for name, value in slurm.extra.items()}


def _given(flags: Mapping[str, tuple[str, Any]]) -> dict[str, Any]:
    return dict(flags.values())


def _about(slurm: SlurmConfig, flags: Mapping[str, tuple[str, Any]], where: str) -> str:
    """ "; it is about launch.slurm.gpus = 9: a node of the partition gpu has at most 4 GPUs"."""
    keys = _to_blame(flags)
    if not keys:  # or SLURM was too slow to be asked
        request = ", ".join(f"--{name}={value}" for name, value in flags.values())
        return f"; the job asks for {request}"
    partitions = scheduler.partitions()
    settings = []
    for key in keys:
        value = slurm.extra[key[6:]] if key.startswith("extra.") else getattr(slurm, key)
        allowed = _allowed(key, slurm, partitions)
        settings.append(f"{where}.{key} = {value}" + (f" ({allowed})" if allowed else ""))
    return f"; it is about {' or '.join(settings)}"


def _to_blame(flags: Mapping[str, tuple[str, Any]]) -> list[str]:
    """Keys without which SLURM takes the job; if there are none, keys that it refuses alone."""
    deadline = time.monotonic() + PROBE_SECONDS

    def takes(keys: Collection[str]) -> bool | None:
        if time.monotonic() > deadline:
            return None
        return (
            scheduler.refusal(_given({k: flag for k, flag in flags.items() if k in keys})) is None
        )

    to_blame = [key for key in flags if takes(set(flags) - {key})]
    return to_blame or [
        key for key in flags if takes({key} if key in _PLACE else {key, *_PLACE}) is False
    ]


def _allowed(key: str, slurm: SlurmConfig, partitions: list[scheduler.Partition]) -> str:
    """The values that the cluster allows for a key; empty where it does not say."""
    names = (slurm.partition or "").split(",")
    chosen = [p for p in partitions if p.name in names or (not slurm.partition and p.is_default)]
    if key == "partition":
        return "allowed are " + ", ".join(dict.fromkeys(p.name for p in partitions))
    if key in ("account", "qos"):
        return "sacctmgr show associations user=$USER lists yours, where there is accounting"
    if not chosen:
        return ""
    place = f"the partition {' or '.join(dict.fromkeys(p.name for p in chosen))}"
    most = {
        "gpus": lambda: _about_gpus(place, chosen, partitions),
        "nodes": lambda: f"{place} has {sum(p.nodes for p in chosen)} nodes",
        "cpus": lambda: f"a node of {place} has at most {max(p.cpus for p in chosen)} cores",
        "memory_gb": lambda: (
            f"a node of {place} has at most {max(p.memory_mb for p in chosen) / 1024:.4g} GB"
        ),
        "minutes": lambda: f"the limit of {place} is {' or '.join(_several(chosen, 'limit'))}",
        "constraint": lambda: (
            f"nodes of {place} have " + (", ".join(_several(chosen, "features")) or "no features")
        ),
    }
    return most[key]() if key in most else ""


def _about_gpus(
    place: str, chosen: list[scheduler.Partition], partitions: list[scheduler.Partition]
) -> str:
    if most := max(p.gpus for p in chosen):
        return f"a node of {place} has at most {most} GPUs"
    with_gpus = ", ".join(dict.fromkeys(p.name for p in partitions if p.gpus))
    return f"nodes of {place} have none" + (
        f"; those of {with_gpus} have GPUs" if with_gpus else ""
    )


def _several(partitions: list[scheduler.Partition], name: str) -> list[str]:
    """The different values of a field, split at commas."""
    values = [value for p in partitions for value in getattr(p, name).split(",")]
    return list(dict.fromkeys(value for value in values if value))
