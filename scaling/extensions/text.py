"""The text of a person's own files: which belong to one extension, their hash, what they import."""

from __future__ import annotations

import hashlib
import tokenize
from collections.abc import Sequence
from pathlib import Path

from scalinglab.scaling.errors import ConfigError
from scalinglab.scaling.records.fingerprint import imports_of, significant


def digest(files: Sequence[Path]) -> str:
    """Hash of what in files is neither comment, docstring nor layout."""
    content = hashlib.sha256()
    for file in files:
        text = file.read_text(encoding="utf-8")
        try:
            content.update(significant(text).encode())
        except (SyntaxError, tokenize.TokenError):  # told of when it is imported
            content.update(text.encode())
    return content.hexdigest()[:10]


def check_imports(name: str, file: Path) -> None:
    """Refuse a file that imports a neighbour: a worker, which has a copy, would not find it."""
    try:
        modules = imports_of(file)
    except SyntaxError:
        return  # told of when it is imported
    for module in modules:
        top = module.partition(".")[0]
        if any((file.parent / f).exists() for f in (f"{top}.py", f"{top}/__init__.py")):
            raise ConfigError(
                f"extend: {name} imports {top!r}, which lies beside it; files that belong together "
                "make a package (a folder with __init__.py), named by its module: "
                "extend=[package.module]"
            )


def package_files(name: str, file: Path) -> tuple[Path, ...]:
    """A module's file, and the files of its own top package that it imports, one after another."""
    top = name.partition(".")[0]
    root = file.parents[name.count(".") + (file.name == "__init__.py")]
    files: dict[str, Path] = {}
    modules = [name]
    while modules:
        module = modules.pop()
        place = root.joinpath(*module.split("."))
        path = next(
            (p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None
        )
        if module in files or path is None or module.partition(".")[0] != top:
            continue
        files[module] = path
        try:
            modules += imports_of(path, module)
        except SyntaxError:
            continue  # told of when it is imported
    return tuple(files[module] for module in sorted(files))
