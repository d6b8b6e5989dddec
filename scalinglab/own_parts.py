"""Configuration groups of registered parts, which have no YAML file.

``optimizer=mine optimizer.radius=2`` chooses an optimizer that ``extend=[mine.py]`` registered, as
it would a shipped one: the keys and defaults are the fields of its dataclass.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import yaml

from scalinglab import register
from scalinglab.own_groups import SHIPPED
from scalinglab.scaling.data.documents import Documents
from scalinglab.scaling.data.source import SOURCES
from scalinglab.scaling.data_config import DataConfig, TokenizerConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extensions import loading
from scalinglab.scaling.fields import defaults
from scalinglab.scaling.model.module import MODELS
from scalinglab.scaling.model.options import ModuleConfig
from scalinglab.scaling.model.part import SLOTS
from scalinglab.scaling.optimizers.optimizer import OPTIMIZERS
from scalinglab.scaling.registry import Registry
from scalinglab.scaling.schedule.schedule import SCHEDULES

KEY = "extend"
_GROUPS: dict[str, Registry[Any]] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}


def load_named(overrides: Sequence[str], folders: Sequence[Path]) -> Any:
    """Import what ``extend`` names on a command line and in the file of its study.

    This comes before composing, so that overrides can choose the parts that are registered.

    Parameters
    ----------
    overrides : sequence of str
    folders : sequence of Path
        A person's own groups, where a study's file may lie.

    Returns
    -------
    list or None
        The names in the study, then those of the command line; None if it adds none.

    Raises
    ------
    ConfigError
        If a file or module does not exist or cannot be imported.
    """
    values = {key: value for key, _, value in (o.partition("=") for o in overrides)}
    study_names = _in_study(values["study"], folders) if "study" in values else None
    if KEY not in values:
        load(study_names, folders)
        return None
    added = _names(_parsed(f"{KEY}: {values[KEY]}").get(KEY))
    names = [*(name for name in _names(study_names) if name not in added), *added]
    load(names, folders)
    return names


def _in_study(study: str, folders: Sequence[Path]) -> Any:
    """The value of ``extend`` in the file of a study."""
    places = [folder / "study" / f"{study}.yaml" for folder in (SHIPPED, *folders)]
    file = next((place for place in places if place.is_file()), None)
    return None if file is None else _parsed(file.read_text(encoding="utf-8")).get(KEY)


def _names(extend: Any) -> list[str]:
    """The value of the key ``extend`` as a list.

    Raises
    ------
    ConfigError
        If it is not a list of names.
    """
    names = [extend] if isinstance(extend, str) else extend or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"{KEY} = {extend!r}: expected a list of .py files and modules, as in {KEY}=[mine.py]"
        )
    return names


def load(extend: Any, folders: Sequence[Path]) -> list[str]:
    """Import what a value of the key ``extend`` names; absolute paths and names of modules.

    Raises
    ------
    ConfigError
        If it is not a list of names, or one of them cannot be imported.
    """
    names = _names(extend)
    if not names:
        return []
    # The parents, too: a study in scaling_conf/ names a file that lies next to scaling_conf/.
    places = [*folders, *(folder.parent for folder in folders)]
    loaded = loading.load(names, places)
    register.check_halves()
    return [str(e.file) if e.is_file else e.module for e in loaded]


def choices() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Group, name and keys of each part without a YAML file, as the file would have them.

    These are all parts that fill a slot of the network, and the other parts that are not shipped.
    """
    for slot, part in SLOTS.items():
        for name, definition in _choices(part).items():
            yield f"model/{slot}", name, _keys(definition) | {part.chooser: name}
    for group, registry in _GROUPS.items():
        for name, kind in registry.items():
            if not registry.is_shipped(name):
                yield group, name, _keys(kind) | {kind.chooser: name}
    for name in MODELS:
        model = _keys(ModuleConfig) | {"target": name, "options": module_options(MODELS[name])}
        yield "model", name, model
    for name, source in SOURCES.items():
        if not SOURCES.is_shipped(name):
            tokenizer = TokenizerConfig() if issubclass(source, Documents) else None
            data = asdict(DataConfig(source=name, tokenizer=tokenizer))
            yield "data", name, data | {"options": _keys(source)}


def module_options(make: Callable[..., Any]) -> dict[str, Any]:
    """The keywords of a network's constructor with plain default values, its options."""
    try:
        parameters = inspect.signature(make).parameters
    except (TypeError, ValueError):
        return {}
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if name not in ("vocab", "context")
        and isinstance(parameter.default, int | float | str | list | dict | None)
    }


def _choices(kind: type[Any]) -> Mapping[str, type[Any]]:
    choices: Mapping[str, type[Any]] = kind.choices
    return choices


def _parsed(text: str) -> Mapping[str, Any]:
    """The keys of a YAML text; empty if it cannot be read, which composing refuses later."""
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return plain if isinstance(plain, dict) else {}


def _keys(cls: type[Any]) -> dict[str, Any]:
    """Keys of a dataclass with their defaults; "???", Hydra's mark, for a required one."""
    values = defaults(cls)
    required = {f.name for f in fields(cls) if f.default is MISSING} - set(values)
    return dict.fromkeys(required, "???") | values
