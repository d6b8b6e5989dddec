"""A study as a person writes it: named blocks of runs, and the question they answer.

A block names a generator (``scalinglab.sweeps.study.generators``): a grid of nested axes, a design
whose points are chosen, or a search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.data.mixed import open_data
from scalinglab.scaling.data_config import DataConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.read_options import from_dict
from scalinglab.scaling.records.plan_file import StudyConfig
from scalinglab.scaling.records.study_name import check_study_name
from scalinglab.sweeps.study.axes import axes
from scalinglab.sweeps.study.checkpoints import check_checkpoints
from scalinglab.sweeps.study.expand import BlockConfig, expand, generator_of, optimizer_of
from scalinglab.sweeps.study.values import with_groups, with_values

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
        Vocabulary size of some data; default: of its store, which is made if need be.
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
        block_base = with_groups(base, block.base, f"{path}.base")
        run = partial(_run_at, block_base, f"{path}.grid")
        points = expand(
            block,
            path,
            block_base,
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


def _run_at(base: Mapping[str, Any], path: str, point: Mapping[str, Any]) -> RunConfig:
    """The run of a block at a point of its axes."""
    config: RunConfig = from_dict(RunConfig, with_values(base, point, path))
    return config


def _loss_at(
    run: Callable[[Mapping[str, Any]], RunConfig],
    final_loss: Callable[[RunConfig], float | None],
    point: Mapping[str, Any],
) -> float | None:
    return final_loss(run(point))


def is_search(study: StudyConfig) -> bool:
    """Whether a block of a study asks for more runs once some are finished."""
    blocks = {f"study.blocks.{name}": values for name, values in study.blocks.items()}
    return any(
        generator_of(from_dict(BlockConfig, values, path), path).is_search
        for path, values in blocks.items()
    )


def check_study(composed: Mapping[str, Any]) -> StudyConfig:
    """The study of a composed configuration; its blocks are not checked here."""
    if not composed.get("study"):
        raise ConfigError(
            "no study is named, or its file defines none; say study=quickstart, or another of "
            "conf/study (a study's file begins with the line '# @package _global_')"
        )
    study = from_dict(StudyConfig, composed["study"], "study")
    check_study_name("study.name", study.name)
    check_checkpoints(study.checkpoints)
    return study


def _vocab_of_store(composed: Mapping[str, Any]) -> Callable[[DataConfig], int]:
    outputs = Path(composed.get("outputs", "outputs")).absolute()
    return lambda data: open_data(data, outputs).manifest.vocab


def check_overrides(composed: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Refuse an override of what every block sets for its runs: it would change nothing.

    Raises
    ------
    ConfigError
        Naming the key and where to set it instead.
    """
    blocks = composed["study"]["blocks"]
    keys = {name: set_by(name, block, composed) for name, block in blocks.items()}
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        if not blocks or not all(key in set_keys for set_keys in keys.values()):
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


def set_by(name: str, values: Any, composed: Mapping[str, Any]) -> set[str]:
    """The keys that a block sets for each of its runs: by its grid and its generator."""
    path = f"study.blocks.{name}"
    block = from_dict(BlockConfig, values, path)
    optimizer = optimizer_of(with_groups(composed, block.base, f"{path}.base"))
    return {*axes(block.grid), *generator_of(block, path).sets(optimizer)}


def _check_answer(study: StudyConfig, requested: list[RequestedRun]) -> None:
    """Refuse options of the answer that the study's runs cannot give, before any is trained."""
    held_out = study.answer.curve_held_out
    kinds = sorted({run.config.schedule.kind for run in requested if run.role == "curve"})
    if held_out is not None and held_out not in kinds:
        raise ConfigError(
            f"study.answer.curve_held_out = {held_out!r} is not the schedule of a run with the "
            f"role 'curve'; those are: {', '.join(kinds) or 'none'}"
        )
