"""Refusals while composing a configuration, each in one sentence instead of Hydra's many."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from scalinglab.leftover_keys import class_at
from scalinglab.scaling.choices import users_of
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.model.options import named_slots

# Keys in which an interpolation may call a resolver: nothing in them makes a run's numbers.
NOT_SCIENCE = ("outputs", "execution", "launch")
# Groups that take any keys.
_OPEN_GROUPS = (".options", ".extra", ".classes", ".weights", ".pools")
_RESOLVER = re.compile(r"\$\{\s*([\w.]+)\s*:")


def unreadable(override: str) -> str:
    """The sentence for an override that is not ``key=value``, or whose value cannot be parsed."""
    key, equals, value = override.partition("=")
    if equals:
        quoted = quoted_override(key, value)
        return f"cannot read the value of the override {override!r}; if it is one text, {quoted}"
    example = f", as in study={override}" if override.isidentifier() else ""
    return f"cannot read the override {override!r}: expected key=value{example}"


def quoted_override(key: str, value: str) -> str:
    """How a text that Hydra would take apart is given in a shell, as the end of a sentence."""
    if re.search(r"[\"$`\\!]", value):
        escaped = value.replace('"', '\\"')
        word = shlex.quote(f'{key}="{escaped}"')
    elif "'" in value:
        word = f'"{key}=\\"{value}\\""'
    else:
        word = f"\"{key}='{value}'\""
    return f"quote it inside the shell's quotes: {word}"


def no_such_file(missing: str, options: Sequence[str]) -> str:
    """The sentence for a choice of a group that has no file: ``study=quikstart``."""
    group, _, name = missing.removesuffix(".yaml").rpartition("/")
    near = difflib.get_close_matches(name, options, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    among = f" There are: {', '.join(sorted(options))}" if options else ""
    file = f"{group}/{name}.yaml"
    return f"{group} = {name!r}: there is no conf/{file} or scaling_conf/{file}{hint}{among}"


def below_a_value(key: str) -> str:
    """The sentence for a key below what has none: ``model.width.x``, ``trainer.options.x``."""
    parent = key.rpartition(".")[0]
    if parent.endswith(_OPEN_GROUPS):
        return f"unknown key {key!r}: {parent} has none; +{key}=... adds it"
    if parent.removeprefix("model.") in named_slots():
        return (
            f"unknown key {key!r}: {parent} is a name alone; "
            f"{parent.replace('.', '/')}=NAME chooses one with its keys"
        )
    return f"unknown key {key!r}: {parent} is a value, not a group of keys; {parent}=... sets it"


def used_elsewhere(key: str, siblings: Sequence[str]) -> str:
    """The sentence for a key that other choices of its group use; empty where none does."""
    group, _, name = key.rpartition(".")
    cls = class_at(group, {}) if group else None
    users = users_of(cls, name) if cls is not None else []
    if cls is None or not users:
        return ""
    return (
        f"unknown key {key!r}: it is used with {group}.{cls.chooser} = {' or '.join(users)}. "
        f"Allowed here: {', '.join(sorted(siblings))}"
    )


def refuse_resolvers(uninterpolated: Mapping[Any, Any]) -> None:
    """Refuse a resolver where the science stands: equal runs must not differ by time or machine.

    Parameters
    ----------
    uninterpolated : mapping
        The composed configuration with its interpolations as they are written.

    Raises
    ------
    ConfigError
        Naming the key and the resolver.
    """
    for key, value in uninterpolated.items():
        if key not in NOT_SCIENCE:
            _refuse_below(str(key), value)


def _refuse_below(path: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, child in value.items():
            _refuse_below(f"{path}.{key}", child)
    elif isinstance(value, list):
        for i, child in enumerate(value):
            _refuse_below(f"{path}[{i}]", child)
    elif isinstance(value, str) and (match := _RESOLVER.search(value)):
        raise ConfigError(
            f"{path} = {value!r} calls the resolver '{match[1]}': what makes a run's numbers must "
            f"not depend on the environment or the time; resolvers are allowed in "
            f"{', '.join(NOT_SCIENCE)} only, plain references such as ${{seed}} everywhere"
        )
