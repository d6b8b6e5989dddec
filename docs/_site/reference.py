"""The reference: a page a room of the public names, from their docstrings; a page of the commands."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import griffe
from mkdocs.structure.files import File, Files

import scalinglab
from scalinglab import analysis
from scalinglab.analysis import plot
from scalinglab.cli import GROUPS, find_verb
from scalinglab.options import explain

_ROOMS = {
    "arms": "Two recipes",
    "decisions": "Decisions",
    "fitting": "Fits",
    "forecasts": "Forecasts",
    "importers": "Runs made elsewhere",
    "intervals": "Intervals and noise",
    "judgement": "Laws judged",
    "laws": "Laws",
    "replays": "Published tables",
    "reporting": "Answers and reports",
    "tables": "Runs as tables",
    "transfer": "Does a change still help at scale",
}
_WIDTH = 100  # columns of the options of a command


def on_files(files: Files, config: Any) -> Files:
    """Add the pages; mkdocs.yml names them."""
    pages = {"study": _page("Studies, tables and single runs", "scalinglab", _STUDY)}
    for room, title in _ROOMS.items():
        names = {n: h for n, h in analysis._HOME.items() if h.split(".")[2] == room}
        pages[room] = _page(title, "analysis", names)
    figures = {n: f"{plot.__name__}.{h}" for n, h in plot._HOME.items() if n.islower()}
    pages["plot"] = _page("Figures", "plot", figures)
    pages["commands"] = "\n\n".join(_commands())
    for name, content in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=content))
    return files


_STUDY = {name: scalinglab._FILES[name] for name in scalinglab.__all__}


def _page(title: str, prefix: str, names: dict[str, str]) -> str:
    parts = [f"# {title}"]
    for name in sorted(names, key=str.lower):
        options = f"    options: {{heading: '{prefix}.{name}', toc_label: {name}}}"
        parts.append(f"::: {names[name]}.{name}\n{options}")
    return "\n\n".join(parts) + "\n"


def _commands() -> Iterator[str]:
    """What ``scaling VERB --help`` says, of all verbs."""
    yield "# Commands"
    yield "What `scaling VERB --help` says. [The verbs](../verbs.md) has an example of each."
    for group, verbs in GROUPS.items():
        yield f"## {group}" if group == "utilities" else f"## to {group}"
        for name in verbs:
            verb = find_verb(name)
            options = "\n".join(explain(verb.options, _WIDTH))
            yield f"### scaling {name}"
            yield f"    {verb.usage}"
            yield re.sub(r"([<*_\[\]])", r"\\\1", inspect.cleandoc(verb.run.__doc__ or ""))
            yield f"```text\n{options}\n```"


class Docstrings(griffe.Extension):
    """Docstrings as pages show them: examples as code, options of methods as their keywords."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Mark the examples of a docstring as code."""
        if obj.docstring is not None:
            obj.docstring.value = _fenced(obj.docstring.value)

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Take signature and docstring of a method with keywords (`answers.keywords`) from itself."""
        if not any(str(d.value).startswith("keywords(") for d in func.decorators):
            return
        owner = getattr(importlib.import_module(func.module.path), func.parent.name)
        method = getattr(owner, func.name)
        text = _fenced(inspect.getdoc(method) or "")
        func.docstring = griffe.Docstring(text, parent=func, parser="numpy")
        func.parameters = griffe.Parameters(
            *(
                griffe.Parameter(
                    p.name,
                    annotation=None if p.annotation is p.empty else str(p.annotation),
                    kind=griffe.ParameterKind[p.kind.name.lower()],
                    default=None if p.default is p.empty else repr(p.default),
                )
                for p in inspect.signature(method).parameters.values()
            )
        )


def _fenced(text: str) -> str:
    """A docstring whose examples (``>>>``, up to the next empty line) are marked as code."""
    return re.sub(r"^(>>> .*(?:\n.+)*)", r"```pycon\n\1\n```", text, flags=re.MULTILINE)
