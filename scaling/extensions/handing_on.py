"""Extensions handed on to other processes: those that this one starts, and frozen workers."""

from __future__ import annotations

import json
import os
from pathlib import Path

from scalinglab.scaling.extensions.loading import load, loaded, package_root
from scalinglab.scaling.records import machine

FROZEN = "extensions.json"  # in the folder of frozen code: the names that its workers import
INHERITED = "SCALING_EXTEND"  # the variable with the names for processes without frozen code


def load_inherited() -> None:
    """Import the extensions of the process that started this one, or of its frozen code.

    Raises
    ------
    ConfigError
        As `load`.
    """
    text = os.environ.get(INHERITED)
    if text is not None:
        handed_on = json.loads(text)
        load(handed_on["names"], [Path(folder) for folder in handed_on["folders"]])
        return
    folder = machine.code_folder()
    if (folder / FROZEN).exists():
        names = json.loads((folder / FROZEN).read_text(encoding="utf-8"))
        load(names, [folder])


def inherited() -> dict[str, str]:
    """The environment variable that hands on this process's extensions; empty without any."""
    names = [str(e.file) if e.is_file else e.module for e in loaded()]
    folders = [str(root) for root in map(package_root, loaded()) if root is not None]
    return {INHERITED: json.dumps({"names": names, "folders": folders})} if names else {}


def frozen_files() -> dict[str, bytes]:
    """The files that are copied to frozen code for its workers: path -> content.

    An installed package belongs to the machine, as torch does, and is not copied.
    """
    files: dict[str, bytes] = {}
    names = []
    for i, extension in enumerate(loaded()):
        if extension.is_file:
            name = f"extensions/{i}/{extension.file.name}"
            files[name] = extension.file.read_bytes()
            names.append(name)
            continue
        names.append(extension.module)
        root = package_root(extension)
        if root is None:
            continue
        folder = root / extension.module.partition(".")[0]
        for file in sorted(folder.rglob("*.py")) if folder.is_dir() else [extension.file]:
            files[file.relative_to(root).as_posix()] = file.read_bytes()
    if names:
        files[FROZEN] = json.dumps(names).encode()
    return files
