"""Options as keywords of a method, checked and documented like those of the command line."""

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
Options = TypeVar("Options")
Self = TypeVar("Self")
Answer = TypeVar("Answer")


def keywords(
    cls: Callable[P, Options],
) -> Callable[[Callable[[Self, Options], Answer]], Callable[Concatenate[Self, P], Answer]]:
    """Let a method that takes an object of options be called with its fields as keywords.

    ``study.fit(resamples=200)`` then means ``scaling fit study=... resamples=200``: the same
    options with the same defaults, types and ranges, refused in the same sentences.

    Parameters
    ----------
    cls : type
        A dataclass of options; each field has its description.
    """

    def decorate(
        method: Callable[[Self, Options], Answer],
    ) -> Callable[Concatenate[Self, P], Answer]:
        @functools.wraps(method)
        def call(self: Self, /, **arguments: Any) -> Answer:
            return method(self, read_keywords(cls, arguments))

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


def read_keywords(cls: Callable[..., Options], arguments: Mapping[str, Any]) -> Options:
    """An object of options from keywords.

    Raises
    ------
    ConfigError
        On an unknown or missing keyword, or a value that the option does not allow.
    """
    fields = dataclasses.fields(cls)  # type: ignore[arg-type]
    for f in fields:
        if f.name not in arguments and _default(f) is inspect.Parameter.empty:
            raise ConfigError(f"{f.name} is not set")
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
        return {key: _plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    return value
