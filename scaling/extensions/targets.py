"""Networks by their target: a registered name, a name in an extension's file, or an import path."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import sys
import sysconfig
from pathlib import Path
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extensions.loading import Extension, loaded
from scalinglab.scaling.model.module import MODELS


def find(target: str) -> Any:
    """The builder of a target's network.

    Raises
    ------
    ConfigError
        If nothing has that name: the sentence says where it was looked for.
    """
    if target in MODELS:
        return MODELS[target]
    module, _, name = target.rpartition(".")
    if not module:
        registered = f": {', '.join(MODELS)}" if MODELS else ""
        raise ConfigError(
            f"model.target = {target!r} is neither a registered network{registered}, nor an import "
            "path such as mine.MyNet of a file in extend=[mine.py]"
        )
    extension = _extension_with(module)
    try:
        place = (
            sys.modules[extension.module]
            if extension is not None
            else importlib.import_module(module)
        )
    except Exception as error:  # whatever the code of somebody else does
        raise ConfigError(_unfound(target, module, error)) from error
    try:
        return getattr(place, name)
    except AttributeError:
        file = extension.name if extension is not None else module
        raise ConfigError(f"model.target = {target!r}: {file} has no {name!r}") from None
    except Exception as error:  # a package that imports its parts when they are asked for
        raise ConfigError(_unfound(target, module, error)) from error


def text_of(target: str) -> str:
    """The version of a target: a hash of its text, or that of an installed package."""
    module = target.rpartition(".")[0]
    extension = _extension_with(module)
    if extension is not None:
        return extension.text
    return _version(module.partition(".")[0])


@functools.cache
def _version(top: str) -> str:
    names = importlib.metadata.packages_distributions().get(top, ())
    return "-".join([top, *(importlib.metadata.version(name) for name in names[:1])])


def check_workers_find(target: str) -> None:
    """Refuse a target that is importable here alone, as from the current folder.

    Raises
    ------
    ConfigError
        Naming what to put into ``extend``.
    """
    module = target.rpartition(".")[0]
    if target in MODELS or not module or _extension_with(module) is not None:
        return
    file = getattr(sys.modules.get(module), "__file__", None)
    installed = {Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")}
    if file is None or not any(folder in Path(file).resolve().parents for folder in installed):
        raise ConfigError(
            f"model.target = {target!r}: workers do not import {module!r}; name it in "
            f"extend=[{module}], or its file in extend=[FILE.py]"
        )


def _extension_with(module: str) -> Extension | None:
    """The extension that is a module, or the file that has its name."""
    for extension in loaded():
        if extension.module == module or (extension.is_file and extension.file.stem == module):
            return extension
    return None


def _unfound(target: str, module: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name in (module, module.partition(".")[0]):
        return (
            f"model.target = {target!r}: there is no module {module!r}; extend=[{module}.py] names "
            "a file of yours"
        )
    return f"model.target = {target!r}: {type(error).__name__}: {error}"
