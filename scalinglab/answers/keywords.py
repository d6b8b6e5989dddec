"""Options given in Python as keywords: checked, and documented, as those of the command line."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar, get_origin, get_type_hints

from scalinglab.options import nearest_first
from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.read_options import from_dict

P = ParamSpec("P")
Asked = TypeVar("Asked")
S = TypeVar("S")
R = TypeVar("R")


def keywords(
    cls: Callable[P, Asked],
) -> Callable[[Callable[[S, Asked], R]], Callable[Concatenate[S, P], R]]:
    """Let a method that takes an object of options be called with its fields as keywords.

    ``study.fit(resamples=200)`` then means ``scaling fit study=... resamples=200``: the same
    options with the same defaults, types and ranges, refused in the same sentences.

    Parameters
    ----------
    cls : type
        A dataclass of options; each field has its description.
    """

    def decorate(method: Callable[[S, Asked], R]) -> Callable[Concatenate[S, P], R]:
        @functools.wraps(method)
        def call(self: S, /, **given: Any) -> R:
            return method(self, read_keywords(cls, given))

        fields = nearest_first(cls)  # type: ignore[arg-type]
        itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [itself, *(_parameter(f) for f in fields)]
        )
        lines = [f"{f.name}\n    {f.metadata['says']}" for f in fields]
        described = "\n".join(["Parameters", "----------", *lines])
        call.__doc__ = f"{inspect.cleandoc(method.__doc__ or '')}\n\n{described}"
        return call  # type: ignore[return-value]

    return decorate


def read_keywords(cls: Callable[..., Asked], arguments: Mapping[str, Any]) -> Asked:
    """An object of options from keywords.

    Raises
    ------
    ConfigError
        On an unknown or missing keyword, or a value that the option does not allow.
    """
    required = [f.name for f in dataclasses.fields(cls) if _default(f) is inspect.Parameter.empty]  # type: ignore[arg-type]
    for name in required:
        if name not in arguments:
            raise ConfigError(f"{name} is not set")
    lists = {n for n, hint in get_type_hints(cls).items() if get_origin(hint) is list}
    values = {name: _plain(value) for name, value in arguments.items()}
    for name in lists & set(values):
        if not isinstance(values[name], list):
            values[name] = [values[name]]  # budgets=1e12
    return from_dict(cls, values)  # type: ignore[arg-type]


def _parameter(f: dataclasses.Field[Any]) -> inspect.Parameter:
    return inspect.Parameter(
        f.name, inspect.Parameter.KEYWORD_ONLY, default=_default(f), annotation=f.type
    )


def _default(f: dataclasses.Field[Any]) -> Any:
    if f.default_factory is not dataclasses.MISSING:
        return f.default_factory()
    return inspect.Parameter.empty if f.default is dataclasses.MISSING else f.default


def _plain(value: Any) -> Any:
    """A value as the command line would give it: lists, numbers, texts."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # numpy's arrays and scalars, a series
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
