"""Parts known to composing: what ``extend`` names, and the groups of keys without a YAML file.

What is registered can be chosen as a shipped part can, ``optimizer=mine optimizer.radius=2``,
without a YAML file: its keys and defaults are those of its dataclass.
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
    """Import what a command line and the study that it chooses name in ``extend``.

    Before anything is composed, so that what they register can be chosen.

    Parameters
    ----------
    overrides : sequence of str
    folders : sequence of Path
        Those of a person's own groups, where a study's file may lie.

    Returns
    -------
    list or None
        What the study names and then what the command line adds; None where it adds nothing.

    Raises
    ------
    ConfigError
        If one is not there or cannot be imported.
    """
    values = {key: value for key, _, value in (o.partition("=") for o in overrides)}
    of_study = _of_study(values["study"], folders) if "study" in values else None
    if KEY not in values:
        load(of_study, folders)
        return None
    added = _names(_parsed(f"{KEY}: {values[KEY]}").get(KEY))
    names = [*(name for name in _names(of_study) if name not in added), *added]
    load(names, folders)
    return names


def _of_study(study: str, folders: Sequence[Path]) -> Any:
    """What the file of a study names in ``extend``."""
    places = [folder / "study" / f"{study}.yaml" for folder in (SHIPPED, *folders)]
    file = next((place for place in places if place.is_file()), None)
    return None if file is None else _parsed(file.read_text(encoding="utf-8")).get(KEY)


def _names(named: Any) -> list[str]:
    """The value of the key ``extend`` as a list.

    Raises
    ------
    ConfigError
        If it is no list of names.
    """
    names = [named] if isinstance(named, str) else named or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(
            f"{KEY} = {named!r}: expected a list of .py files and modules, as in {KEY}=[mine.py]"
        )
    return names


def load(named: Any, folders: Sequence[Path]) -> list[str]:
    """Import the value of the key ``extend``; what each is found by from anywhere.

    Raises
    ------
    ConfigError
        If it is no list of names, or one of them cannot be imported.
    """
    names = _names(named)
    if not names:
        return []
    # Beside the groups' folder, too: a study in scaling_conf/ names a file next to scaling_conf/.
    places = [*folders, *(folder.parent for folder in folders)]
    loaded = loading.load(names, places)
    register.check_halves()
    return [str(e.file) if e.is_file else e.module for e in loaded]


def choices() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Group, name and keys of parts: what a YAML file of each would say.

    Those that are not shipped, and all that fill a slot of the network, none of which has a file.
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
    """The options of a network that its constructor has plain defaults for."""
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
    """The keys of a text of YAML; none where it cannot be read, which composing tells of."""
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    return plain if isinstance(plain, dict) else {}


def _keys(cls: type[Any]) -> dict[str, Any]:
    """Keys of a dataclass at their defaults; one that must be given is missing."""
    values = defaults(cls)
    required = {f.name for f in fields(cls) if f.default is MISSING} - set(values)
    return dict.fromkeys(required, "???") | values
