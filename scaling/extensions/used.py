"""The extensions whose code makes the numbers of a run, and the shipped parts that few runs use."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.extensions.loading import extension_of
from scalinglab.scaling.extensions.targets import check_workers_find, text_of
from scalinglab.scaling.extensions.text import digest
from scalinglab.scaling.model.module import CENSUS, MODELS
from scalinglab.scaling.records.fingerprint import code_fingerprint, files_apart
from scalinglab.scaling.registry import Registry


def used_by(science: Mapping[str, Any]) -> str:
    """The extensions that make numbers of a run, as ``NAME=HASH`` joined by pluses.

    Parts of extensions, and shipped ones whose files are not in the fingerprint of all runs. The
    name is that of the part, so that two texts of one part are told apart. Empty where the run
    uses none.

    Parameters
    ----------
    science : mapping
        Of the run.
    """
    texts = set()
    for registry in Registry.number_making:
        for name in _names_in(science, registry):
            if registry.is_shipped(name):
                if apart := _digest_apart(registry.halves_of(name), imports=True):
                    texts.add(f"{name}={apart}")
            else:
                extension = extension_of(registry.module_of(name))
                texts.add(f"{name}={extension.text if extension is not None else 'unknown'}")
    for target in _named_in(science, MODELS):
        if target not in MODELS:
            texts.add(f"{target}={text_of(target)}")
        texts.add(f"module={_digest_apart((CENSUS,))}")
    return "+".join(sorted(texts))


def is_known(science: Mapping[str, Any]) -> bool:
    """Whether this process has all parts that a run names; one that only looks may lack some."""
    return all(
        name in registry
        for registry in Registry.number_making
        for name in _named_in(science, registry)
    )


@functools.cache
def _digest_apart(modules: tuple[str, ...], *, imports: bool = False) -> str:
    """The digest of the files that are not in the fingerprint of all runs; empty where all are."""
    files = files_apart(modules, imports=imports)
    return digest(files) if files else ""


def check_importable(science: Mapping[str, Any]) -> None:
    """Refuse a run whose parts other processes could not import.

    Raises
    ------
    ConfigError
        If one was registered in a notebook, or by a module that no extension names.
    """
    for registry in Registry.number_making:
        for name in _names_in(science, registry):
            module = registry.module_of(name)
            if not registry.is_shipped(name) and extension_of(module) is None:
                raise ConfigError(
                    f"{registry.key} = {name!r} is registered by {module!r}, which workers do not "
                    "import: put it into a file, and name that in extend=[FILE.py]"
                )
    for target in _named_in(science, MODELS):
        check_workers_find(target)


def _names_in(science: Mapping[str, Any], registry: Registry[Any]) -> list[str]:
    """The entries of a registry that a science names, as far as they are registered."""
    return [name for name in _named_in(science, registry) if name in registry]


def _named_in(science: Mapping[str, Any], registry: Registry[Any]) -> list[str]:
    """What a science names under the key of a registry; each of several pools has a source.

    What has no keys of its own may stand there as its name alone (``model.norm``).
    """
    *groups, key = registry.key.split(".")
    node: Any = functools.reduce(lambda node, group: node.get(group, {}), groups, science)
    nodes = (node.get("pools") or {}).values() if groups == ["data"] else ()
    names = [each if isinstance(each, str) else each.get(key) for each in (nodes or (node,))]
    return [name for name in names if name is not None]


def run_fingerprint(science: Mapping[str, Any]) -> str:
    """The fingerprint of the code that trains a run here, with that of the extensions it uses."""
    extensions = used_by(science)
    return f"{code_fingerprint()}+{extensions}" if extensions else code_fingerprint()
