"""Hydra, in one place: config groups and overrides in, a plain dictionary out.

Composing happens once, here, in the process of the person who asked; a job never composes. Groups
of one's own join the shipped ones by Hydra's search path: those of ``config=DIR``, of
``scaling_conf/`` in the current folder, and of ``conf/`` there. The shipped files come first, and a
``conf/`` may be another program's: what it holds beside is no concern of ours.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from scalinglab import own_parts
from scalinglab.own_groups import SHIPPED, own_folders, quoted
from scalinglab.scaling.choices import chosen_class, users_of, without_leftovers
from scalinglab.scaling.config import RunConfig
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.fields import keys_of, unknown_key
from scalinglab.scaling.model.options import named_slots
from scalinglab.scaling.model.part import SLOTS
from scalinglab.scaling.read_options import class_of

# Keys in which an interpolation may call a resolver: nothing in them makes a run's numbers.
NOT_SCIENCE = ("outputs", "execution", "launch")
TOP_LEVEL = (*RunConfig.__dataclass_fields__, "study", "launch", "outputs", own_parts.KEY)
_OPEN = re.compile(
    r"(model\.(options|base_options|roles)|data\.tokenizer\.options|init_from\.names)[.=]"
)
_NAMED_SLOT = re.compile(rf"model/({'|'.join(named_slots())})=")
_POOL = re.compile(r"data\.pools\.\w+\.")
RESOLVER = re.compile(r"\$\{\s*([\w.]+)\s*:")


def compose(overrides: Sequence[str], config: Path | None = None) -> dict[str, Any]:
    """Compose ``conf/config.yaml`` with overrides (``model.width=64 schedule=cosine``).

    Parameters
    ----------
    overrides : sequence of str
        ``config=DIR`` among them says what the parameter `config` does.
    config : Path, optional
        A folder with groups of one's own.

    Raises
    ------
    ConfigError
        On an unknown key, group or option, a broken override, or a resolver (environment, time,
        hydra) where the science stands.
    """
    folders = own_folders([o for o in overrides if o.startswith("config=")], config)
    overrides = [_opened(o) for o in overrides if not o.startswith("config=")]
    for override in overrides:
        if override.lstrip("+~").startswith("hydra.") and "searchpath" not in override:
            raise ConfigError(
                f"{override!r}: no Hydra job is run, so its settings change nothing; "
                "allowed of them is hydra.searchpath"
            )
    extended = own_parts.load_named(overrides, folders)
    overrides = [o for o in overrides if not o.startswith(f"{own_parts.KEY}=")]
    for group, name, keys in own_parts.choices():
        ConfigStore.instance().store(name, keys, group)
    _check_overrides(overrides)
    if folders:
        overrides = [f"hydra.searchpath=[{','.join(map(quoted, folders))}]", *overrides]
    with initialize_config_dir(str(SHIPPED), version_base="1.3"):
        try:
            composed = _read(overrides)
        except HydraException as error:
            raise ConfigError(_explain(error, overrides)) from error
        except ConfigError:
            raise
        except ValueError as error:  # Hydra's, of a key below a list: execution.measure.x=1
            for override in overrides:
                key, beside = _keys_beside(override.partition("=")[0].lstrip("+~"), overrides)
                if not beside:
                    raise ConfigError(_below_a_value(key)) from error
            raise
    for name in map(str, composed):
        if name not in TOP_LEVEL:  # a file with `@package _global_` may bring any
            hint = "; experiments are studies here: study=NAME" if name == "experiment" else ""
            raise ConfigError(unknown_key(name, TOP_LEVEL) + hint)
    _refuse_resolvers(composed)
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
    named = plain[own_parts.KEY] if extended is None else extended
    plain[own_parts.KEY] = own_parts.load(named, folders)
    _drop_leftovers(plain, overrides)
    if not isinstance(plain["outputs"], str) or not plain["outputs"]:
        raise ConfigError(f"outputs = {plain['outputs']!r}: expected the name of a folder")
    return plain


def _opened(override: str) -> str:
    """An override that may name a new key, where any may stand: ``++model.options.width=64``.

    What a network of somebody's own, or a tokenizer, takes is checked when it is built. A part
    whose slot has a name alone, ``model/norm=dyt``, is a group that no file of ours has chosen.
    """
    if _NAMED_SLOT.match(override):
        return f"+{override}"
    return f"++{override}" if _OPEN.match(override) else override


def _drop_leftovers(plain: dict[str, Any], overrides: Sequence[str]) -> None:
    """Drop what a group's file brought for another choice than a study or an override made.

    ``schedule: {kind: cosine}`` in a study stands on the keys of ``conf/schedule/wsd.yaml``. What
    somebody set that the choice does not use stays, and is refused where it is read.
    """
    slots = [f"model.{slot}" for slot in SLOTS]
    for path in (*RunConfig.__dataclass_fields__, *slots):
        cls: Any = _class_at(path, plain)
        *parents, name = path.split(".")
        above = functools.reduce(lambda node, key: node.get(key, {}), parents, plain)
        group = above.get(name)
        if not isinstance(group, dict) or cls is None or not hasattr(cls, "choices"):
            continue
        _refuse_overruled(path, cls.chooser, group, overrides)
        if not set(group) <= set(keys_of(chosen_class(cls, group, path))):
            above[name] = without_leftovers(cls, group, _file_of(path, overrides))


def _class_at(path: str, plain: dict[str, Any]) -> type[Any] | None:
    """The dataclass that reads a dotted group of a run's configuration."""
    cls: type[Any] | None = RunConfig
    for key in path.split("."):
        cls = class_of(cls, key, plain) if cls is not None else None
    return cls


def _refuse_overruled(
    name: str, chooser: str, group: dict[str, Any], overrides: Sequence[str]
) -> None:
    """Refuse the choice of a file (``schedule=cosine``) whose kind the study sets otherwise."""
    keys = [o.partition("=")[0].lstrip("+") for o in overrides]
    of_file = name.replace(".", "/")
    if of_file not in keys or f"{name}.{chooser}" in keys:
        return
    choice = _file_of(name, overrides).get(chooser)
    if choice is not None and choice != group.get(chooser):
        typed = overrides[len(keys) - 1 - keys[::-1].index(of_file)]
        raise ConfigError(
            f"{typed} changes nothing: the study sets {name}.{chooser} = {group.get(chooser)!r};"
            f" say {name}.{chooser}={choice}"
        )


def _file_of(group: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The keys of the file of a group that was chosen, maybe by the study."""
    search = [o for o in overrides if o.startswith("hydra.searchpath")]
    with initialize_config_dir(str(SHIPPED), version_base="1.3"):
        whole = hydra_compose("config", list(overrides), return_hydra_config=True)
        of_file = group.replace(".", "/")
        if of_file not in whole.hydra.runtime.choices:
            return {}
        choice = _opened(f"{of_file}={whole.hydra.runtime.choices[of_file]}")
        keys: Any = OmegaConf.select(_read([*search, choice]), group)
        plain: Any = OmegaConf.to_container(keys, resolve=True)
        return dict(plain)


def _read(overrides: Sequence[str]) -> DictConfig:
    try:
        return hydra_compose("config", list(overrides))
    except YAMLError as error:
        raise ConfigError(" ".join(str(error).split())) from error


def _check_overrides(overrides: Sequence[str]) -> None:
    """Refuse the choice of a group that names no file, and taking away what every run needs."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError(_explain(error, overrides)) from error
    groups = {path.name for path in SHIPPED.iterdir() if path.is_dir()}
    for override in parsed:
        key, text = override.key_or_group, override.input_line
        if override.is_sweep_override():
            raise ConfigError(
                f"{text!r} names several values, and one configuration is made; the "
                "values of an axis stand in a study: study.blocks.NAME.grid"
            )
        if override.is_delete():
            if not key.startswith("study.") and ".options." not in key:
                raise ConfigError(
                    f"{text!r}: a run needs {key}, nothing would take its place; "
                    "~ takes away keys of study and of options only"
                )
            continue
        if key.partition("/")[0] not in groups:
            continue
        value = override.value()
        names = value if isinstance(value, list) else [value]
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ConfigError(f"{text!r}: expected the name of a file of conf/{key}")


def _explain(error: HydraException, overrides: Sequence[str]) -> str:
    """One sentence or two from Hydra's many."""
    if isinstance(error, OverrideParseException):
        key, equals, value = error.override.partition("=")
        if equals:
            return (
                f"cannot read the value of the override {error.override!r}; if it is one text, "
                f"quote it inside the shell's quotes: \"{key}='{value}'\""
            )
        named = f", as in study={error.override}" if str(error.override).isidentifier() else ""
        return f"cannot read the override {error.override!r}: expected key=value{named}"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_such_file(error.missing_cfg_file, error.options or ())
    if isinstance(error, ConfigCompositionException):
        key = str(getattr(error.__cause__, "full_key", None) or "")
        if key:
            if key.startswith("study") and not any(o.startswith("study=") for o in overrides):
                return f"{key}: no study is chosen to set it in; give study=NAME as well"
            key, beside = _keys_beside(key, overrides)
            if not beside:
                return _below_a_value(key)
            if key.rpartition(".")[2] in beside:  # it is there: the value does not fit
                return f"{key}: {str(error.__cause__).splitlines()[0]}"
            near = difflib.get_close_matches(key.rpartition(".")[2], beside, n=1)
            if key.startswith("study.") and not near:
                return f"unknown key {key!r}: the study's file does not set it; +{key}=... adds it"
            told = _used_elsewhere(key, beside) or unknown_key(key, beside)
            return f"{told}; +{key}=... sets one of a pool's others" if _POOL.match(key) else told
    return _first_line(error)


def _used_elsewhere(key: str, beside: Sequence[str]) -> str:
    """The sentence for a key of another schedule or optimizer than the file's; empty if of none."""
    group, _, name = key.rpartition(".")
    cls = _class_at(group, {}) if group else None
    users = users_of(cls, name) if cls is not None else []
    if cls is None or not users:
        return ""
    return (
        f"unknown key {key!r}: it is used with {group}.{cls.chooser} = {' or '.join(users)}. "
        f"Allowed here: {', '.join(sorted(beside))}"
    )


def _first_line(error: HydraException) -> str:
    line = str(error).splitlines()[0]
    if "@study." in line:  # its overrides were looked for inside of it
        return f"{line} A study's file begins with the line '# @package _global_'"
    return line


def _below_a_value(key: str) -> str:
    """The sentence for a key below what has none: ``model.width.x``, ``trainer.options.x``."""
    parent = key.rpartition(".")[0]
    if parent.endswith(
        (".options", ".extra", ".classes", ".weights", ".pools")
    ):  # groups of any keys
        return f"unknown key {key!r}: {parent} has none; +{key}=... adds it"
    if parent.removeprefix("model.") in named_slots():
        return (
            f"unknown key {key!r}: {parent} is a name alone; {parent.replace('.', '/')}=NAME chooses "
            "one with its keys"
        )
    return f"unknown key {key!r}: {parent} is a value, not a group of keys; {parent}=... sets it"


def _no_such_file(missing: str, options: Sequence[str]) -> str:
    """The sentence for a choice of a group that has no file: ``study=quikstart``."""
    group, _, name = missing.removesuffix(".yaml").rpartition("/")
    near = difflib.get_close_matches(name, options, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    among = f" There are: {', '.join(sorted(options))}" if options else ""
    file = f"{group}/{name}.yaml"
    return f"{group} = {name!r}: there is no conf/{file} or scaling_conf/{file}{hint}{among}"


def _keys_beside(key: str, overrides: Sequence[str]) -> tuple[str, list[str]]:
    """The first part of `key` that does not exist, and the keys that there are in its place.

    With the files that were chosen. No keys: what should be a group is a value.
    """
    groups = {"hydra.searchpath", *(path.name for path in SHIPPED.iterdir() if path.is_dir())}
    groups |= {f"model/{slot}" for slot in SLOTS}
    chosen = [o for o in overrides if o.partition("=")[0].lstrip("+") in groups]
    try:
        node: Any = _read(chosen)
    except HydraException as error:  # a file that was chosen is wrong by itself
        raise ConfigError(_first_line(error)) from error
    parts = key.split(".")
    for i, part in enumerate(parts):
        if not isinstance(node, DictConfig):
            return ".".join(parts[: i + 1]), []
        if part not in node or i == len(parts) - 1:
            beside = list(TOP_LEVEL) if i == 0 else [str(k) for k in node]
            return ".".join(parts[: i + 1]), beside
        node = node.get(part)
    return key, []


def _refuse_resolvers(config: DictConfig) -> None:
    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    for key, value in plain.items():
        if key not in NOT_SCIENCE:
            _refuse_in(str(key), value)


def _refuse_in(path: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_in(f"{path}.{key}", item)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _refuse_in(f"{path}[{i}]", item)
    elif isinstance(value, str) and (match := RESOLVER.search(value)):
        raise ConfigError(
            f"{path} = {value!r} calls the resolver '{match[1]}': what makes a run's numbers must "
            f"not depend on the environment or the time; resolvers are allowed in "
            f"{', '.join(NOT_SCIENCE)} only, plain references such as ${{seed}} everywhere"
        )
