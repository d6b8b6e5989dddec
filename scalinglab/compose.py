"""Hydra, in one place: config groups and overrides in, a plain dictionary out.

Composing happens once, in the process of the person who asked; a job never composes. A person's
own groups join the shipped ones by Hydra's search path: those of ``config=DIR``, of
``scaling_conf/`` in the current folder, and of ``conf/`` there. The shipped files come first.
``conf/`` may belong to another program, so its further files are ignored.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from scalinglab import own_parts
from scalinglab.compose_refusals import (
    NOT_SCIENCE,
    below_a_value,
    no_such_file,
    quoted_override,
    refuse_resolvers,
    unreadable,
    used_elsewhere,
)
from scalinglab.leftover_keys import drop_leftovers
from scalinglab.own_groups import SHIPPED, own_folders, quoted, shipped_groups
from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import unknown_key
from scalinglab.scaling.model.options import named_slots
from scalinglab.scaling.model.part import SLOTS

TOP_LEVEL = (*RunConfig.__dataclass_fields__, "study", "launch", "outputs", own_parts.KEY)
_SEARCH_PATH = "hydra.searchpath"
# Groups in which a person may set keys that no shipped file has.
_OPEN = re.compile(
    r"(model\.(options|base_options|roles)|data\.tokenizer\.options|init_from\.names)[.=]"
)
_NAMED_SLOT = re.compile(rf"model/({'|'.join(named_slots())})=")
_POOL = re.compile(r"data\.pools\.\w+\.")


def compose(overrides: Sequence[str], config: Path | None = None) -> dict[str, Any]:
    """Compose ``conf/config.yaml`` with overrides (``model.width=64 schedule=cosine``).

    Parameters
    ----------
    overrides : sequence of str
        ``config=DIR`` among them does what the parameter `config` does.
    config : Path, optional
        A folder with the person's own groups.

    Raises
    ------
    ConfigError
        On an unknown key, group or option, a broken override, or a resolver (environment, time,
        hydra) where the science stands.
    """
    folders = own_folders([o for o in overrides if o.startswith("config=")], config)
    overrides = [_with_new_keys(o) for o in overrides if not o.startswith("config=")]
    _refuse_job_settings(overrides)
    extended = own_parts.load_named(overrides, folders)
    overrides = [o for o in overrides if not o.startswith(f"{own_parts.KEY}=")]
    for group, name, keys in own_parts.choices():
        ConfigStore.instance().store(name, keys, group)
    _check_overrides(overrides)
    composed, choices = _composed(overrides, folders)
    composed[own_parts.KEY] = own_parts.load(
        composed[own_parts.KEY] if extended is None else extended, folders
    )
    drop_leftovers(
        composed, overrides, lambda group: _file_keys(group, choices, overrides, folders)
    )
    if not isinstance(composed["outputs"], str) or not composed["outputs"]:
        raise ConfigError(f"outputs = {composed['outputs']!r}: expected the name of a folder")
    return composed


def _refuse_job_settings(overrides: Sequence[str]) -> None:
    for override in overrides:
        if override.lstrip("+~").startswith("hydra.") and "searchpath" not in override:
            raise ConfigError(
                f"{override!r}: no Hydra job is run, so its settings change nothing; "
                f"allowed of them is {_SEARCH_PATH}"
            )


def _composed(
    overrides: Sequence[str], folders: Sequence[Path]
) -> tuple[dict[str, Any], dict[str, str | None]]:
    """Hydra's configuration from shipped files, those of `folders` and overrides.

    Beside it the file that was chosen of each group.
    """
    overrides = [*_search_path(folders), *overrides]
    with initialize_config_dir(str(SHIPPED), version_base="1.3"):
        try:
            composed = _read(overrides, return_hydra_config=True)
        except HydraException as error:
            raise ConfigError(_explain(error, overrides)) from error
        except ConfigError:
            raise
        except ValueError as error:  # Hydra's, of a key below a list: execution.measure.x=1
            for override in overrides:
                key, siblings = _siblings(override.partition("=")[0].lstrip("+~"), overrides)
                if not siblings:
                    raise ConfigError(below_a_value(key)) from error
            raise
    choices = dict(composed.hydra.runtime.choices)
    with flag_override(composed, ["struct", "readonly"], [False, False]):
        del composed["hydra"]
    for name in map(str, composed):
        if name not in TOP_LEVEL:  # a file with `@package _global_` may bring any
            raise ConfigError(unknown_key(name, TOP_LEVEL) + _of_templates(name))
    return _resolved(composed), choices


def _search_path(folders: Sequence[Path]) -> list[str]:
    """The override that names a person's own folders to Hydra."""
    return [f"{_SEARCH_PATH}=[{','.join(map(quoted, folders))}]"] if folders else []


def _resolved(composed: DictConfig) -> dict[str, Any]:
    """The plain dictionary of a composed configuration; references are replaced by their values."""
    uninterpolated = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(uninterpolated, dict)
    refuse_resolvers(uninterpolated)
    try:
        # First by itself: a reference from the science to elsewhere could smuggle a resolver in.
        science = OmegaConf.masked_copy(
            composed, [str(k) for k in composed if k not in NOT_SCIENCE]
        )
        OmegaConf.to_container(science, resolve=True, throw_on_missing=True)
        plain: Any = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", "") or "a reference"
        if isinstance(error, MissingMandatoryValue):
            raise ConfigError(f"{key} is not set, and what was chosen needs it") from error
        raise ConfigError(
            f"{key}: {str(error).splitlines()[0]}; what makes a run's numbers may refer to keys of "
            f"its own kind only, not to {', '.join(NOT_SCIENCE)}"
        ) from error
    assert isinstance(plain, dict)
    return plain


def _with_new_keys(override: str) -> str:
    """The override in Hydra's form for a key that no file has: ``++model.options.width=64``.

    The options of a person's own network or tokenizer are checked when it is built. No shipped
    file chooses a part for a slot that takes a name alone, so ``model/norm=dyt`` adds the group.
    """
    if _NAMED_SLOT.match(override):
        return f"+{override}"
    return f"++{override}" if _OPEN.match(override) else override


def _file_keys(
    group: str,
    choices: Mapping[str, str | None],
    overrides: Sequence[str],
    folders: Sequence[Path],
) -> dict[str, Any]:
    """The keys of the file of a group that was chosen, maybe by the study."""
    file_group = group.replace(".", "/")
    file = choices.get(file_group)
    if file is None:
        return {}
    with initialize_config_dir(str(SHIPPED), version_base="1.3"):
        try:  # the file alone, which takes a quarter of the time
            return _keys_of(_read([], file=f"{file_group}/{file}"), group)
        except (HydraException, OmegaConfBaseException):  # a person's own, or one with references
            search = [o for o in overrides if o.startswith(_SEARCH_PATH)]
            search = [*_search_path(folders), *search]
            return _keys_of(_read([*search, _with_new_keys(f"{file_group}={file}")]), group)


def _keys_of(configuration: DictConfig, group: str) -> dict[str, Any]:
    keys: Any = OmegaConf.select(configuration, group)
    plain: Any = OmegaConf.to_container(keys, resolve=True)
    return dict(plain)


def _read(
    overrides: Sequence[str], file: str = "config", *, return_hydra_config: bool = False
) -> DictConfig:
    try:
        return hydra_compose(file, list(overrides), return_hydra_config=return_hydra_config)
    except YAMLError as error:
        raise ConfigError(" ".join(str(error).split())) from error


def _check_overrides(overrides: Sequence[str]) -> None:
    """Refuse an override that Hydra would take, but that cannot be meant.

    That is the choice of a group that names no file, a sweep, or the deletion of a key that every
    run needs.
    """
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError(_explain(error, overrides)) from error
    groups = set(shipped_groups())
    for override in parsed:
        _check_override(override, groups)


def _check_override(override: Override, groups: set[str]) -> None:
    key, text = override.key_or_group, override.input_line or ""
    if override.is_sweep_override():
        values = text.partition("=")[2]
        is_numbers = re.fullmatch(r"[\d\s.,eE+-]*", values)
        hint = "" if is_numbers else f"; if it is one text, {quoted_override(key, values)}"
        raise ConfigError(
            f"{text!r} names several values, and one configuration is made; the "
            f"values of an axis stand in a study: study.blocks.NAME.grid{hint}"
        )
    if override.is_delete():
        if not key.startswith("study.") and ".options." not in key:
            raise ConfigError(
                f"{text!r}: a run needs {key}, nothing would take its place; "
                "~ takes away keys of study and of options only"
            )
        return
    if key.partition("/")[0] in groups:
        value = override.value()
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ConfigError(f"{text!r}: expected the name of a file of conf/{key}")


def _explain(error: HydraException, overrides: Sequence[str]) -> str:
    """One sentence or two from Hydra's many."""
    if isinstance(error, OverrideParseException):
        return unreadable(str(error.override))
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return no_such_file(error.missing_cfg_file, error.options or ())
    key = str(getattr(error.__cause__, "full_key", None) or "")
    if isinstance(error, ConfigCompositionException) and key:
        return _explain_key(key, error, overrides)
    return _first_line(error)


def _explain_key(key: str, error: HydraException, overrides: Sequence[str]) -> str:
    """The sentence for an override of a key that does not exist or does not take the value."""
    if key.startswith("study") and not any(o.startswith("study=") for o in overrides):
        return f"{key}: no study is chosen to set it in; give study=NAME as well"
    key, siblings = _siblings(key, overrides)
    if not siblings:
        return below_a_value(key)
    name = key.rpartition(".")[2]
    if name in siblings:  # it exists: the value does not fit
        return f"{key}: {str(error.__cause__).splitlines()[0]}"
    if key.startswith("study.") and not difflib.get_close_matches(name, siblings, n=1):
        return f"unknown key {key!r}: the study's file does not set it; +{key}=... adds it"
    sentence = used_elsewhere(key, siblings) or unknown_key(key, siblings) + _of_templates(key)
    return f"{sentence}; +{key}=... sets one of a pool's others" if _POOL.match(key) else sentence


def _of_templates(key: str) -> str:
    """What answers a group that Hydra's templates have and this configuration has not."""
    return "; experiments are studies here: study=NAME" if key == "experiment" else ""


def _first_line(error: HydraException) -> str:
    line = str(error).splitlines()[0]
    if "@study." in line:  # Hydra looked for the study's overrides inside the study's group
        return f"{line} A study's file begins with the line '# @package _global_'"
    return line


def _siblings(key: str, overrides: Sequence[str]) -> tuple[str, list[str]]:
    """The first part of `key` that does not exist in the chosen files, and the keys that do there.

    No keys: the part above it is a value, not a group.
    """
    groups = {_SEARCH_PATH, *shipped_groups()}
    groups |= {f"model/{slot}" for slot in SLOTS}
    chosen = [o for o in overrides if o.partition("=")[0].lstrip("+") in groups]
    try:
        node: Any = _read(chosen)
    except HydraException as error:  # a file that was chosen is wrong by itself
        raise ConfigError(_first_line(error)) from error
    parts = key.split(".")
    for i, part in enumerate(parts):
        path = ".".join(parts[: i + 1])
        if not isinstance(node, DictConfig):
            return path, []
        if part not in node or i == len(parts) - 1:
            return path, list(TOP_LEVEL) if i == 0 else [str(k) for k in node]
        node = node.get(part)
    return key, []
