"""A study as a person writes it: named blocks of runs, and the question they answer.

A block names a generator (``scalinglab.sweeps.study.expand``): a grid of nested axes, or a design whose
points are chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import (
    ConfigError,
    DataConfig,
    RunConfig,
    check_study_name,
    from_dict,
    one_of,
    unknown_key,
)
from scalinglab.scaling.data.sources import open_store
from scalinglab.scaling.fields import choosers, class_of, has_key, no_such_key, with_choice
from scalinglab.scaling.records.plan_file import StudyConfig
from scalinglab.sweeps.study.expand import DESIGNED, DESIGNS, BlockConfig, axes, expand
from scalinglab.sweeps.study.tune import usual_space

ROLES = ("fit", "held_out", "curve", "sweep")
RUN_KEYS = tuple(RunConfig.__dataclass_fields__)


@dataclass(frozen=True)
class RequestedRun:
    """One run that a study asks for, before it is resolved."""

    block: str
    role: str
    config: RunConfig


def read_study(
    composed: Mapping[str, Any],
    vocab: Callable[[DataConfig], int] | None = None,
    final_loss: Callable[[RunConfig], float | None] = lambda config: None,
) -> tuple[StudyConfig, list[RequestedRun]]:
    """Expand a composed configuration into the runs that its study asks for.

    Parameters
    ----------
    composed : mapping
    vocab : callable, optional
        Size of the alphabet of some data; default: of its store, which is made if need be.
    final_loss : callable, optional
        Final loss of a run, None while it is not finished: searches continue from it.

    Raises
    ------
    ConfigError
        If there is no study, it has no runs, or an axis names a key that does not exist.
    """
    study = check_study(composed)
    base = {key: composed[key] for key in RUN_KEYS if key in composed}
    requested = []
    for name, values in study.blocks.items():
        path = f"study.blocks.{name}"
        block = from_dict(BlockConfig, values, path)
        one_of(f"{path}.role", block.role, ROLES)
        own = base | block.base
        run = partial(_run_at, own, f"{path}.grid")
        points = expand(
            block,
            path,
            own,
            vocab or _vocab_of_store(composed),
            partial(_loss_at, run, final_loss),
        )
        requested += [RequestedRun(name, block.role, run(point)) for point in points]
    if not requested:
        raise ConfigError(
            f"study {study.name!r} has no runs: study.blocks is {study.blocks!r}; give it at least "
            "one block whose axes all have values"
        )
    _check_answer(study, requested)
    return study, requested


def _run_at(own: Mapping[str, Any], path: str, point: Mapping[str, Any]) -> RunConfig:
    """The run of a block at a point of its axes."""
    config: RunConfig = from_dict(RunConfig, with_values(own, point, path))
    return config


def _loss_at(
    run: Callable[[Mapping[str, Any]], RunConfig],
    final_loss: Callable[[RunConfig], float | None],
    point: Mapping[str, Any],
) -> float | None:
    return final_loss(run(point))


def check_study(composed: Mapping[str, Any]) -> StudyConfig:
    """The study of a composed configuration, its blocks not looked into yet."""
    if not composed.get("study"):
        raise ConfigError(
            "no study is named, or its file defines none; say study=quickstart, or another of "
            "conf/study (a study's file begins with the line '# @package _global_')"
        )
    study = from_dict(StudyConfig, composed["study"], "study")
    check_study_name("study.name", study.name)
    return study


def _vocab_of_store(composed: Mapping[str, Any]) -> Callable[[DataConfig], int]:
    outputs = Path(composed.get("outputs", "outputs")).absolute()
    return lambda data: open_store(data, outputs).manifest.vocab


def check_overrides(composed: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse an override of what every block sets for its runs: it would change nothing.

    Raises
    ------
    ConfigError
        Naming the key and where to set it instead.
    """
    blocks = composed["study"]["blocks"]
    keys = {name: _set_by(block, composed) for name, block in blocks.items()}
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if not blocks or not all(key in own for own in keys.values()):
            continue
        name = next(iter(blocks))
        part, place = (
            ("grid", f"grid.{key}=[...]")
            if key in axes(blocks[name].get("grid", {}))
            else ("generator", "options")
        )
        raise ConfigError(
            f"{override} changes nothing: every block's {part} sets {key}; say, for example, "
            f"study.blocks.{name}.{place}"
        )


def _set_by(block: Mapping[str, Any], composed: Mapping[str, Any]) -> set[str]:
    """The keys that a block sets for each of its runs: of its grid, design or search."""
    own = set(axes(block.get("grid", {})))
    if block.get("generator") in DESIGNS:
        return own | set(DESIGNED)
    if block.get("generator") == "tune":
        optimizer = block.get("base", {}).get("optimizer", composed["optimizer"])["name"]
        return own | set(axes(block.get("options", {}).get("space", {})) or usual_space(optimizer))
    return own


def _check_answer(study: StudyConfig, requested: list[RequestedRun]) -> None:
    """What the analysis is asked for must make sense before anything is trained for it."""
    for budget in study.answer.budgets:
        if budget <= 0:
            raise ConfigError(f"study.answer.budgets has {budget:g}: allowed is above 0 (FLOPs)")
    held_out = study.answer.curve_held_out
    kinds = sorted({w.config.schedule.kind for w in requested if w.role == "curve"})
    if held_out is not None and held_out not in kinds:
        raise ConfigError(
            f"study.answer.curve_held_out = {held_out!r} is not the schedule of a run with the "
            f"role 'curve'; those are: {', '.join(kinds) or 'none'}"
        )


def with_values(base: Mapping[str, Any], point: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A copy of `base` with dotted keys set; the keys must exist.

    A value that is a group (``schedule: [{kind: cosine}]``) sets the keys that it has: the others
    stay as the study has them. Where a point chooses another schedule, optimizer or
    parametrization, only what the new choice uses stays.

    Raises
    ------
    ConfigError
        If a key is unknown, or what is chosen does not use it.
    """
    config = dict(base)
    # Choices first: they say which keys there are.
    for dotted, value in sorted(point.items(), key=lambda item: not _is_choice(config, item[0])):
        *groups, key = dotted.split(".")
        cls = _class_at(config, groups)
        node, so_far = config, path
        for group in groups:
            if not isinstance(node.get(group), dict):
                raise ConfigError(unknown_key(f"{so_far}.{group}", node))
            node[group] = dict(node[group])  # the base keeps its own
            node, so_far = node[group], f"{so_far}.{group}"
        if cls is not None and key in choosers(cls):
            chosen = with_choice(cls, node, key, value, so_far)
            node.clear()
            node.update(chosen)
        elif key in node or (cls is not None and has_key(cls, key, node)):
            inner = _class_at(config, [*groups, key]) if isinstance(value, Mapping) else None
            node[key] = merged(node.get(key), value, inner, f"{so_far}.{key}")
        elif cls is None or cls is RunConfig:
            raise ConfigError(unknown_key(f"{so_far}.{key}", node))
        else:
            raise ConfigError(no_such_key(cls, key, value, node, so_far))
    return config


def _is_choice(config: Mapping[str, Any], dotted: str) -> bool:
    """Whether a dotted key decides which other keys there are."""
    *groups, key = dotted.split(".")
    cls = _class_at(config, groups)
    return cls is not None and key in choosers(cls)


def _class_at(config: Mapping[str, Any], groups: Sequence[str]) -> type | None:
    """The dataclass that reads a group of a run's configuration; None where any key may stand."""
    cls: type | None = RunConfig
    for group in groups:
        cls = class_of(cls, group, config) if cls is not None else None
    return cls


def merged(group: Any, value: Any, cls: type | None = None, path: str = "") -> Any:
    """A group with the keys of another set in it; what is no group is replaced.

    Options are of the data source, or the program, that the group names: where the value names
    another, its options start from none. So do the keys of a schedule, an optimizer or a
    parametrization, of which those stay that both have.

    Parameters
    ----------
    group, value : any
    cls : type, optional
        The dataclass that reads the group.
    path : str
        Where it stands, for messages.
    """
    if not isinstance(group, Mapping) or not isinstance(value, Mapping):
        return value
    chosen = next((k for k in ("source", "kind") if k in group and "options" in group), None)
    if chosen is not None and value.get(chosen, group[chosen]) != group[chosen]:
        group = {**group, "options": {}}
    if cls is not None:
        for key in choosers(cls) & value.keys():
            group = with_choice(cls, group, key, value[key], path)
    return {**group, **{k: merged(group.get(k), v) for k, v in value.items()}}
