"""``scaling parts``: what can be varied, with options, defaults and the file of each."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from scalinglab import register
from scalinglab.options import Options, option
from scalinglab.scaling.extras import needs_extra
from scalinglab.scaling.fields import defaults, one_of
from scalinglab.scaling.records import machine
from scalinglab.terminal import Screen
from scalinglab.verb import Verb

# Kinds that need torch: shown only if they are asked for.
_TORCH = tuple(register.ARITHMETIC.values())


@dataclass(frozen=True, kw_only=True)
class PartsOptions(Options):
    """Options of ``scaling parts``."""

    kind: str | None = option(f"one kind alone: {', '.join(register.KINDS)}", None)


@dataclass(frozen=True)
class Part:
    """A registered part.

    Attributes
    ----------
    kind, name : str
    options : mapping
        Its keys and their defaults; None if the key is required, or a rule sets it.
    says : str
        The first line of its docstring, or its formula.
    file : str
        The file that defines it.
    is_shipped : bool
        Whether it belongs to this package.
    """

    kind: str
    name: str
    options: Mapping[str, Any]
    says: str
    file: str
    is_shipped: bool


@dataclass(frozen=True)
class Parts:
    """The registered parts, kind by kind."""

    parts: list[Part]
    code = 0

    def as_json(self) -> dict[str, Any]:
        """An object a part."""
        return {"parts": [vars(p) for p in self.parts]}

    def show(self, screen: Screen) -> None:
        """All parts of a single kind with their options; else the names of each kind."""
        kinds = list(dict.fromkeys(p.kind for p in self.parts))
        for kind in kinds:
            parts = [p for p in self.parts if p.kind == kind]
            if len(kinds) > 1:
                names = ", ".join(p.name if p.is_shipped else f"{p.name} ({p.file})" for p in parts)
                screen.say(f"{kind}: {names}")
                continue
            screen.say(f"{kind}: {register.KINDS[kind].says}")
            for part in parts:
                options = "  ".join(f"{k}={_short(v)}" for k, v in part.options.items())
                screen.say("")
                screen.say(f"{part.name}  {part.says}")
                screen.say(f"    {part.file}{'  ' if options else ''}{options}")
        screen.say("")
        if len(kinds) > 1:
            screen.say("kind=NAME shows one kind with options, defaults and files")
        screen.say("extend=[mine.py] adds what a file registers: docs/extending.md")


def _short(value: Any) -> str:
    if value is None:
        return "null"
    return f"{value:g}" if isinstance(value, float) else str(value)


def run(options: PartsOptions, screen: Screen) -> Parts:
    """Show what can be varied: scaling parts [kind=optimizer] [extend=mine.py]."""
    if options.kind is None:
        kinds = [kind for kind in register.KINDS if kind not in _TORCH]
    else:
        one_of("kind", options.kind, register.KINDS)
        kinds = [options.kind]
    with needs_extra(f"showing the kind {options.kind}"):
        return Parts([part for kind in kinds for part in _parts_of(kind)])


def _parts_of(kind: str) -> list[Part]:
    registry = register.registry(kind)
    return [
        Part(
            kind,
            name,
            _options(registry, definition),
            _says(definition),
            _file(registry.module_of(name)),
            registry.is_shipped(name),
        )
        for name, definition in registry.items()
    ]


def _options(registry: Any, definition: Any) -> dict[str, Any]:
    """Keys and defaults: the fields of a dataclass, the keywords of a function."""
    if isinstance(definition, type) and is_dataclass(definition):
        values = defaults(definition)
        names = [f.name for f in fields(definition)]
        chooser = getattr(definition, "chooser", None)
        return {name: values.get(name) for name in names if name != chooser}
    if inspect.isfunction(definition):
        parameters = inspect.signature(definition).parameters.values()
        return {
            p.name: None if p.default is p.empty else p.default
            for p in parameters
            if p.kind is p.KEYWORD_ONLY
        }
    return {}


def _says(definition: Any) -> str:
    formula = getattr(definition, "formula", None)
    if formula:
        return str(formula)
    described = isinstance(definition, type) or inspect.isfunction(definition)
    text = (definition.__doc__ or "") if described else ""
    if isinstance(definition, type) and text.startswith(f"{definition.__name__}("):
        text = ""  # dataclass() wrote it: it only repeats the options
    lines = text.strip().splitlines()
    return lines[0].replace("``", "") if lines else ""


def _file(module: str) -> str:
    """The file of a module: relative to this package's folder, or absolute outside of it."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return module
    path, root = Path(file), machine.code_folder()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


VERB = Verb(
    "list what can be varied: optimizers, schedules, sources, laws, ...",
    "scaling parts [kind=optimizer] [extend=mine.py]",
    run,
    PartsOptions,
)
